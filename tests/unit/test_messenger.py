"""Running: who gets what, in which order; timers, hooks, errors, stopping."""

import logging
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import msgspec
import pytest

from nanobus import (
    BusClosedError,
    BusFullError,
    CircularBus,
    DecodeError,
    Gap,
    Handler,
    HandlerError,
    Messenger,
    NanobusError,
    NotRunningError,
    Record,
    StopTimeoutError,
    Worker,
    every,
    f64,
    message,
    on,
    u64,
)

OUTSIDE = 500


@message(id=1101)
class Number(msgspec.Struct):
    value: int


@message(id=1102)
class Answer(msgspec.Struct):
    value: int


@message(id=1103)
class Reading(Record):
    value: f64
    number: u64


def run(*workers, bus=None, seconds=30, send=(), wait_for=None):
    """Run until a handler stops the messenger, sending `send` from outside; return the config dict the handlers share."""
    bus = bus or CircularBus(1 << 16)
    config = {"seen": [], "lock": threading.Lock()}
    with Messenger(bus, workers, config).run() as handles:
        sender = bus.sender(OUTSIDE)
        for one in send:
            sender.send(one)
        handles.join(seconds) if wait_for is None else wait_for.wait(seconds)
    return config["seen"]


class Keeper(Handler, id=10):
    """Keeps what arrives; stops at a negative number."""

    @on(Number)
    def number(self, number):
        self.config["seen"].append((type(self).__name__, number.value))
        if number.value < 0:
            self.stop()


class SecondKeeper(Keeper, id=11):
    pass


class Doubler(Handler, id=12):
    @on(Number)
    def number(self, number):
        self.send(Answer(2 * number.value))


class AnswerKeeper(Handler, id=13):
    @on(Answer)
    def answer(self, answer):
        self.config["seen"].append(answer.value)
        if answer.value < 0:
            self.stop()


def test_every_receiver_gets_the_message_in_the_order_of_its_route():
    seen = run(
        Worker("a", [Keeper, SecondKeeper], {(OUTSIDE, Number): [SecondKeeper, Keeper]}),
        send=[Number(1), Number(2), Number(-1)],
    )
    assert seen == [(name, value) for value in (1, 2, -1) for name in ("SecondKeeper", "Keeper")]


def test_message_goes_through_two_workers():
    seen = run(
        Worker("a", [Doubler], {(OUTSIDE, Number): [Doubler]}),
        Worker("b", [AnswerKeeper], {(Doubler, Answer): [AnswerKeeper]}),
        send=[Number(value) for value in (1, 2, 3, -1)],
    )
    assert seen == [2, 4, 6, -2]


def test_route_is_by_source_and_message():
    bus = CircularBus(1 << 16)
    stopped = threading.Event()

    class Last(Handler, id=14):
        @on(Number)
        def number(self, number):
            stopped.set()

    worker = Worker("a", [Keeper, Last], {(501, Number): [Keeper], (502, Number): [Last]})
    config = {"seen": []}
    with Messenger(bus, [worker], config).run() as handles:
        for source in (500, 501, 503, 502):
            bus.sender(source).send(Number(source))
        bus.write(501, 60000, b"an id nobody knows")
        assert stopped.wait(20)
        statistics = handles.statistics()["a"]
    assert config["seen"] == [("Keeper", 501)]
    assert statistics["handled"] == 2
    assert statistics["failures"] == statistics["held"] == 0


@pytest.mark.parametrize("mode", ["block", "error", "overwrite"])
def test_records_arrive_in_place_and_may_be_kept(mode):
    kept = []

    class RecordKeeper(Handler, id=15):
        @on(Reading)
        def reading(self, reading):
            if reading.number % 3 == 0:
                kept.append(reading)
            if reading.number == 999:
                self.stop()

    run(
        Worker("a", [RecordKeeper], {(OUTSIDE, Reading): [RecordKeeper]}), bus=CircularBus(1 << 17, overflow=mode),
        send=[Reading(value=number / 2, number=number) for number in range(1000)],
    )
    assert [(one.number, one.value) for one in kept] == [(number, number / 2) for number in range(0, 1000, 3)]


def test_record_claimed_in_place_by_a_handler_is_sent_behind_nothing_newer():
    class Claimer(Handler, id=16):
        def on_start(self):
            with self.claim(Reading) as outer:
                self.send(Number(2))
                with self.claim(Reading) as inner:
                    inner.number = 3
                outer.number = 1
            with pytest.raises(ZeroDivisionError), self.claim(Reading) as lost:
                lost.number = 1 // 0
            self.send(Number(4))

    class Order(Handler, id=17):
        @on(Reading)
        def reading(self, reading):
            self.config["seen"].append(reading.number)

        @on(Number)
        def number(self, number):
            self.config["seen"].append(number.value)
            if number.value == 4:
                self.stop()

    seen = run(
        Worker("a", [Claimer]), Worker("b", [Order], {(Claimer, Reading): [Order], (Claimer, Number): [Order]})
    )
    assert seen == [1, 2, 3, 4]


def test_cause_names_the_message_at_hand():
    bus = CircularBus(1 << 16)
    observer = bus.reader(gate=False)
    run(
        Worker("a", [Doubler], {(OUTSIDE, Number): [Doubler]}),
        Worker("b", [AnswerKeeper], {(Doubler, Answer): [AnswerKeeper]}),
        bus=bus, send=[Number(5), Number(-1)],
    )
    envelopes = list(iter(lambda: observer.read(0), None))
    causes = {one.decode(Number).value: one.position for one in envelopes if one.message_id == 1101}
    answers = [one for one in envelopes if one.message_id == 1102]
    assert [one.cause for one in answers] == [causes[5], causes[-1]]
    assert all(one.cause is None for one in envelopes if one.message_id == 1101)


# ---- the life of a handler -------------------------------------------------------------------------------------------

def test_hooks_run_in_order_and_in_the_worker():
    class Alive(Handler, id=30):
        def __init__(self, config):
            super().__init__(config)
            self.note("init")
            self.turns = 0

        def note(self, what):
            self.config["seen"].append((what, threading.current_thread().name))

        def on_start(self):
            self.note("start")

        def on_loop(self):
            self.turns += 1
            if self.turns == 3:
                self.stop()

        def on_stop(self):
            self.note("stop")

    assert run(Worker("alive", [Alive])) == [(what, "alive") for what in ("init", "start", "stop")]


def test_on_start_runs_when_every_worker_listens():
    class Eager(Handler, id=31):
        def on_start(self):
            self.send(Number(-1))

    class Slow(Keeper, id=32):
        def __init__(self, config):
            super().__init__(config)
            time.sleep(0.1)

    assert run(Worker("b", [Slow], {(Eager, Number): [Slow]}), Worker("a", [Eager])) == [("Slow", -1)]


def test_timers_tick_as_messages_on_the_bus():
    class Clock(Handler, id=33):
        @every(0.005)
        def fast(self):
            self.config["seen"].append("fast")

        @every(0.05)
        def slow(self):
            self.config["seen"].append("slow")
            if self.config["seen"].count("slow") == 3:
                self.stop()

    bus = CircularBus(1 << 16)
    seen = run(Worker("a", [Clock]), bus=bus)
    assert seen.count("slow") == 3
    assert 5 <= seen.count("fast") <= 40
    ticks = [one for one in iter(lambda r=bus.reader(): r.read(0), None) if one.message_id == 0xFF01]
    assert len(ticks) >= len(seen)
    assert {one.source for one in ticks} == {33}


def test_ticks_do_not_pile_up_behind_a_slow_handler():
    class Lazy(Handler, id=34):
        @every(0.001)
        def tick(self):
            time.sleep(0.02)
            self.config["seen"].append(0)
            if len(self.config["seen"]) == 5:
                self.stop()

    bus = CircularBus(1 << 16)
    run(Worker("a", [Lazy]), bus=bus)
    assert bus.statistics().committed <= 7


def test_now_and_random_depend_on_the_message_alone():
    class Chance(Handler, id=35):
        @on(Number)
        def number(self, number):
            self.config["seen"].append((number.value, self.now, self.now, self.random.random(), self.random.random()))
            if number.value < 0:
                self.stop()

    bus = CircularBus(1 << 16, timestamps=True)
    observer = bus.reader(gate=False)
    seen = run(Worker("a", [Chance], {(OUTSIDE, Number): [Chance]}), bus=bus, send=[Number(1), Number(-1)])
    stamps = [one.timestamp for one in iter(lambda: observer.read(0), None) if one.message_id == 1101]
    assert [one[1:3] for one in seen] == [(stamp, stamp) for stamp in stamps]
    again = CircularBus(1 << 16, timestamps=True)
    repeated = run(Worker("a", [Chance], {(OUTSIDE, Number): [Chance]}), bus=again, send=[Number(1), Number(-1)])
    assert [one[3:] for one in repeated] == [one[3:] for one in seen]
    assert len({one[3] for one in seen}) == 2


def test_handler_outside_a_worker_says_so():
    keeper = Keeper({"seen": []})
    for use in (lambda: keeper.send(Number(1)), lambda: keeper.now, lambda: keeper.random, keeper.stop,
                lambda: keeper.claim(Reading)):
        with pytest.raises(NotRunningError, match="Keeper is in no running worker"):
            use()


def test_gap_is_told_to_the_handlers_of_a_lapped_worker(caplog):
    gate = threading.Event()

    class Lagging(Handler, id=36):
        def on_gap(self, gap):
            self.config["seen"].append(gap)

        @on(Number)
        def number(self, number):
            gate.wait(20)
            if number.value == 1999:
                self.stop()

    bus = CircularBus(4096, overflow="overwrite")
    config = {"seen": []}
    with Messenger(bus, [Worker("a", [Lagging], {(OUTSIDE, Number): [Lagging]})], config).run() as handles:
        sender = bus.sender(OUTSIDE)
        for number in range(2000):
            sender.send(Number(number))
        gate.set()
        handles.join(20)
    assert len(config["seen"]) == 1
    assert isinstance(config["seen"][0], Gap)
    assert "lost messages" in caplog.text


# ---- errors ----------------------------------------------------------------------------------------------------------

class Failing(Handler, id=40):
    @on(Number)
    def number(self, number):
        if number.value == 3:
            raise ValueError("three is too much")
        self.config["seen"].append(number.value)
        if number.value < 0:
            self.stop()


def test_error_of_a_handler_is_raised_by_join_with_handler_message_and_position():
    bus = CircularBus(1 << 16)
    config = {"seen": []}
    messenger = Messenger(
        bus, [Worker("bad", [Failing], {(OUTSIDE, Number): [Failing]}), Worker("good", [Keeper], {(OUTSIDE, Number): [Keeper]})],
        config,
    )
    handles = messenger.run()
    positions = [bus.sender(OUTSIDE).send(Number(value)) for value in (1, 2, 3)]
    with pytest.raises(HandlerError, match="Failing in worker 'bad' failed on Number at position") as caught:
        handles.join(20)
    error = caught.value
    assert (error.worker, error.handler, error.message, error.position) == ("bad", Failing, Number(3), positions[2])
    assert isinstance(error.__cause__, ValueError)
    assert handles.finished
    assert handles.error is error
    handles.join(1)                                     # raised once
    assert bus.read(positions[0]).decode(Number) == Number(1)
    assert bus.reader().read(0) is not None


def test_leaving_the_block_raises_the_error():
    bus = CircularBus(1 << 16)
    with pytest.raises(HandlerError), Messenger(
        bus, [Worker("bad", [Failing], {(OUTSIDE, Number): [Failing]})], {"seen": []}
    ).run():
        bus.sender(OUTSIDE).send(Number(3))


def test_error_in_the_block_comes_first_and_mentions_the_other():
    bus = CircularBus(1 << 16)
    with pytest.raises(KeyError) as caught, Messenger(
        bus, [Worker("bad", [Failing], {(OUTSIDE, Number): [Failing]})], {"seen": []}
    ).run() as handles:
        bus.sender(OUTSIDE).send(Number(3))
        while not handles.finished:
            time.sleep(0.01)
        raise KeyError("mine")
    assert "three is too much" in caught.value.__notes__[0]


def test_skipped_error_is_logged_and_the_other_receivers_still_get_the_message(caplog):
    with caplog.at_level(logging.ERROR, "nanobus"):
        seen = run(
            Worker("a", [Failing, Keeper], {(OUTSIDE, Number): [Failing, Keeper]}, on_error="skip"),
            send=[Number(3), Number(-1)],
        )
    assert seen == [("Keeper", 3), -1, ("Keeper", -1)]
    assert "three is too much" in caplog.text


def test_callable_decides_about_an_error():
    errors = []
    run(
        Worker("a", [Failing], {(OUTSIDE, Number): [Failing]}, on_error=lambda error: errors.append(error) or True),
        send=[Number(3), Number(3), Number(-1)],
    )
    assert [error.message for error in errors] == [Number(3), Number(3)]
    with pytest.raises(HandlerError):
        run(Worker("a", [Failing], {(OUTSIDE, Number): [Failing]}, on_error=lambda error: False), send=[Number(3)])


def test_on_error_that_raises_is_told_with_the_error():
    with pytest.raises(HandlerError) as caught:
        run(Worker("a", [Failing], {(OUTSIDE, Number): [Failing]}, on_error=lambda error: 1 // 0), send=[Number(3)])
    assert "ZeroDivisionError" in caught.value.__notes__[0]


@pytest.mark.parametrize("hook", ["__init__", "on_start", "on_loop", "on_stop", "tick"])
def test_error_in_a_hook_is_a_handler_error_too(hook):
    def fail(self, config=None):
        raise OSError(f"in {hook}")

    methods = {hook: every(0.01)(fail) if hook == "tick" else fail}
    broken = type("Broken", (Handler,), methods, id=41)
    with pytest.raises(HandlerError, match=f"Broken in worker 'a' failed.*OSError: in {hook}") as caught:
        with Messenger(CircularBus(4096), [Worker("a", [broken]), Worker("b", [Keeper], {(9, Number): [Keeper]})]).run() as h:
            if hook != "on_stop":
                h.join(20)
    assert caught.value.handler is broken
    assert caught.value.message is None


def test_bytes_that_do_not_decode_follow_the_worker_s_policy(caplog):
    bus = CircularBus(1 << 16)
    with pytest.raises(HandlerError) as caught:
        with Messenger(bus, [Worker("a", [Keeper], {(OUTSIDE, Number): [Keeper]})], {"seen": []}).run() as handles:
            position = bus.write(OUTSIDE, 1101, b"\xc1nonsense")
            handles.join(20)
    assert caught.value.position == position
    assert caught.value.handler is None
    assert isinstance(caught.value.__cause__, DecodeError)
    worker = Worker("a", [Keeper], {(OUTSIDE, Number): [Keeper]}, on_error="skip")
    config = {"seen": []}
    with Messenger(bus, [worker], config).run() as handles:
        bus.write(OUTSIDE, 1101, b"\xc1nonsense")
        bus.sender(OUTSIDE).send(Number(-1))
        handles.join(20)
    assert config["seen"] == [("Keeper", -1)]


def test_bus_closed_under_a_running_messenger_is_an_error_not_a_hang():
    bus = CircularBus(1 << 16)
    with pytest.raises(HandlerError) as caught:
        with Messenger(bus, [Worker("a", [Keeper], {(OUTSIDE, Number): [Keeper]})], {"seen": []}).run() as handles:
            time.sleep(0.02)
            bus.close()
            handles.join(20)
    assert isinstance(caught.value.__cause__, BusClosedError)


# ---- stopping --------------------------------------------------------------------------------------------------------

class Patient(Handler, id=50):
    @on(Number)
    def number(self, number):
        time.sleep(0.001)
        self.config["seen"].append(number.value)


def test_stop_drains_what_was_on_the_bus_at_the_call():
    bus = CircularBus(1 << 16)
    config = {"seen": []}
    messenger = Messenger(bus, [Worker("a", [Patient], {(OUTSIDE, Number): [Patient]})], config)
    with messenger.run():
        sender = bus.sender(OUTSIDE)
        for number in range(100):
            sender.send(Number(number))
        messenger.stop(drain=True)
        assert config["seen"] == list(range(100))


def test_stop_without_draining_ends_after_the_message_at_hand():
    bus = CircularBus(1 << 16)
    config = {"seen": []}
    messenger = Messenger(bus, [Worker("a", [Patient], {(OUTSIDE, Number): [Patient]})], config)
    with messenger.run():
        sender = bus.sender(OUTSIDE)
        for number in range(500):
            sender.send(Number(number))
        messenger.stop(drain=False)
    assert len(config["seen"]) < 500


def test_stop_says_who_is_still_busy():
    release = threading.Event()

    class Busy(Handler, id=51):
        @on(Number)
        def number(self, number):
            release.wait(20)

    bus = CircularBus(1 << 16)
    messenger = Messenger(bus, [Worker("busy bee", [Busy], {(OUTSIDE, Number): [Busy]})])
    handles = messenger.run()
    bus.sender(OUTSIDE).send(Number(1))
    with pytest.raises(StopTimeoutError, match="still running after 0.05 s: 'busy bee'"):
        messenger.stop(timeout=0.05)
    with pytest.raises(NanobusError, match="runs already"):
        messenger.run()
    release.set()
    handles.join(20)


def test_messenger_runs_again_with_new_handlers():
    bus = CircularBus(1 << 16)
    config = {"seen": []}
    messenger = Messenger(bus, [Worker("a", [Keeper], {(OUTSIDE, Number): [Keeper]})], config)
    for value in (1, 2):
        with messenger.run():
            bus.sender(OUTSIDE).send(Number(value))
    messenger.stop()
    assert config["seen"] == [("Keeper", 1), ("Keeper", 2)]
    assert bus.statistics().readers == ()


def test_messenger_without_workers_runs_and_ends():
    with Messenger(CircularBus(4096), []).run() as handles:
        handles.join(1)


SCRIPT = """
    import sys, time, msgspec
    from nanobus import CircularBus, Handler, Messenger, Worker, every

    class Ticker(Handler, id=1):
        @every(0.01)
        def tick(self):
            pass

        def on_stop(self):
            print("stopped in order", flush=True)

    with Messenger(CircularBus(1 << 16), [Worker("a", [Ticker])]).run() as handles:
        print("running", flush=True)
        {wait}
"""


@pytest.mark.parametrize("wait", ["handles.join()", "time.sleep(60)"])
def test_interrupt_stops_and_drains_before_it_is_raised(wait):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT.format(wait=wait))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    assert process.stdout.readline() == "running\n"
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert out == "stopped in order\n"
    assert "KeyboardInterrupt" in err
    assert process.returncode == -signal.SIGINT


# ---- the outbox ------------------------------------------------------------------------------------------------------

class Left(Handler, id=60):
    limit = 20_000

    def __init__(self, config):
        super().__init__(config)
        self.seen = 0

    def on_start(self):
        self.send(Number(0))

    @on(Answer)
    def answer(self, answer):
        self.seen += 1
        if self.seen + self.config["right"] < self.limit:
            self.send(Number(answer.value + 1))
            self.send(Number(answer.value + 1))
        self.config["left"] = self.seen


class Right(Handler, id=61):
    @on(Number)
    def number(self, number):
        self.config["right"] += 1
        if self.config["right"] + self.config["left"] < Left.limit:
            self.send(Answer(number.value + 1))
            self.send(Answer(number.value + 1))
        elif self.config["right"] + self.config["left"] == Left.limit:
            self.stop()


def test_two_workers_that_answer_two_for_one_never_deadlock_on_a_tiny_ring():
    bus = CircularBus(4096)
    config = {"left": 0, "right": 0}
    workers = [
        Worker("left", [Left], {(Right, Answer): [Left]}, outbox_limit=1 << 20),
        Worker("right", [Right], {(Left, Number): [Right]}, outbox_limit=1 << 20),
    ]
    with Messenger(bus, workers, config).run() as handles:
        deadline = time.monotonic() + 60
        while config["left"] + config["right"] < Left.limit and not handles.finished:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert config["left"] + config["right"] >= Left.limit


def test_outbox_that_is_full_is_an_error_that_says_its_limit():
    class Flood(Handler, id=62):
        def on_start(self):
            for number in range(10_000):
                self.send(Number(number))

    bus = CircularBus(4096)
    stuck = bus.reader()
    with pytest.raises(HandlerError, match="its limit is 65536 bytes") as caught:
        with Messenger(bus, [Worker("a", [Flood], outbox_limit=65536)]).run() as handles:
            while handles.error is None:
                time.sleep(0.01)
            stuck.close()
    assert isinstance(caught.value.__cause__, BusFullError)


def test_bus_that_refuses_refuses_handlers_too():
    class Pushy(Handler, id=63):
        def on_start(self):
            for number in range(1000):
                self.send(Number(number))

    bus = CircularBus(4096, overflow="error")
    stuck = bus.reader()
    with pytest.raises(HandlerError) as caught, Messenger(bus, [Worker("a", [Pushy])]).run() as handles:
        handles.join(20)
    assert isinstance(caught.value.__cause__, BusFullError)
    assert stuck.lag
