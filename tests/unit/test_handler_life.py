"""The life of a handler: made, started, ticking, stopped; its clock and its chance."""

import threading
import time

import pytest

from nanobus import (
    CircularBus,
    Gap,
    Handler,
    HandlerError,
    Messenger,
    NotRunningError,
    Worker,
    every,
    on,
)
from services import OUTSIDE, Keeper, Number, Reading, run


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
    began = time.monotonic()
    seen = run(Worker("a", [Clock]), bus=bus)
    periods = (time.monotonic() - began) / 0.005
    assert seen.count("slow") == 3
    assert 3 <= seen.count("fast") <= periods               # 30 on a machine that has the time
    reader = bus.reader()
    ticks = [one for one in iter(lambda: reader.read(0), None) if one.message_id == 0xFF01]
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


@pytest.mark.thread_unsafe(reason="the log is one for all threads")
def test_gap_is_told_to_the_handlers_of_a_lapped_worker(caplog):
    holding, gate = threading.Event(), threading.Event()

    class Lagging(Handler, id=36):
        def on_gap(self, gap):
            self.config["seen"].append(gap)

        @on(Number)
        def number(self, number):
            holding.set()
            gate.wait(20)
            if number.value == 1999:
                self.stop()

    bus = CircularBus(4096, overflow="overwrite")
    config = {"seen": []}
    with Messenger(bus, [Worker("a", [Lagging], {(OUTSIDE, Number): [Lagging]})], config).run() as handles:
        sender = bus.sender(OUTSIDE)
        for number in range(2000):
            sender.send(Number(number))
            assert holding.wait(20)
        gate.set()
        handles.join(20)
    assert len(config["seen"]) == 1
    assert isinstance(config["seen"][0], Gap)
    assert "lost messages" in caplog.text


def test_worker_lapped_by_what_nobody_routes_is_told_and_ticks_again():
    class Flooded(Handler, id=35):
        turns = ticks = gaps = 0

        def on_loop(self):
            self.turns += 1
            if self.turns <= 50:                        # now and then a tick of its own is under way
                for _ in range(200):
                    writer.write(OUTSIDE, 7, bytes(32))

        def on_gap(self, gap):
            self.gaps += 1

        @every(0.005)
        def tick(self):
            self.ticks += 1
            if self.turns > 50 and self.ticks > 2:
                self.config["gaps"] = self.gaps, bus.statistics().readers[0].gaps
                self.stop()

    bus = CircularBus(4096, overflow="overwrite")
    config = {}
    with bus.writer() as writer, Messenger(bus, [Worker("a", [Flooded])], config).run() as handles:
        handles.join(20)
    assert config["gaps"] == (50, 50)


def test_period_may_come_from_the_config():
    class Configured(Handler, id=37):
        @every(lambda config: config["period"])
        def tick(self):
            self.stop()

    with Messenger(CircularBus(1 << 16), [Worker("a", [Configured])], {"period": 0.01}).run() as handles:
        assert handles.wait(20)


def test_period_that_the_config_gets_wrong_is_an_error_of_run():
    class Configured(Handler, id=37):
        @every(lambda config: config["period"])
        def tick(self):
            pass

    with pytest.raises(HandlerError, match=r"@every takes seconds in 1e-6\.\.1e9, got 0"):
        Messenger(CircularBus(1 << 16), [Worker("a", [Configured])], {"period": 0}).run()


def test_timer_goes_on_after_its_tick_was_lapped():
    class Ticking(Handler, id=38):
        @on(Number)
        def number(self, number):
            flooded.wait(20)

        @every(0.01)
        def tick(self):
            self.config["seen"].append(0)
            if flooded.is_set() and len(self.config["seen"]) > 5:
                self.stop()

    flooded = threading.Event()
    bus = CircularBus(4096, overflow="overwrite")
    config = {"seen": []}
    with Messenger(bus, [Worker("a", [Ticking], {(OUTSIDE, Number): [Ticking]})], config).run() as handles:
        bus.sender(OUTSIDE).send(Number(1))
        for _ in range(30):
            for _ in range(10):
                bus.write(OUTSIDE, 9, bytes(480))
            time.sleep(0.005)
        flooded.set()
        assert handles.wait(20)


def test_on_loop_runs_under_traffic_that_nobody_here_hears():
    class Turning(Handler, id=39):
        def on_loop(self):
            self.config["seen"].append(0)
            if len(self.config["seen"]) == 20:
                self.stop()

    bus = CircularBus(1 << 16)
    with Messenger(bus, [Worker("a", [Turning], idle=0.005)], {"seen": []}).run() as handles:
        deadline = time.monotonic() + 20
        while not handles.finished and time.monotonic() < deadline:
            bus.write(OUTSIDE, 9, b"noise")
            time.sleep(0.001)
        assert handles.finished


@pytest.mark.parametrize("decorate", [on(Number), every(1)])
def test_methods_whose_body_a_call_would_not_run_are_refused(decorate):
    async def asynchronous(self):
        pass

    def generator(self):
        yield

    for method in (asynchronous, generator, staticmethod(print), classmethod(print), 5):
        with pytest.raises(TypeError, match="marks plain methods"):
            decorate(method)


def test_override_without_a_mark_takes_the_place_of_the_marked_method():
    class Quiet(Keeper, id=52):
        def number(self, number):
            self.config["seen"].append("overridden")
            self.stop()

    class Deaf(Keeper, id=53):
        number = None

    assert Deaf.receives == {}
    assert run(Worker("a", [Quiet], {(OUTSIDE, Number): [Quiet]}), send=[Number(1)]) == ["overridden"]
