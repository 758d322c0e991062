"""A handler that raises: who is told, and what goes on."""

import logging
import threading
import time

import pytest

from nanobus import (
    BusClosedError,
    CircularBus,
    DecodeError,
    HandleInUseError,
    Handler,
    HandlerError,
    Messenger,
    Worker,
    every,
    on,
)
from services import OUTSIDE, Keeper, Number, Reading, run


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
        bus,
        [
            Worker("bad", [Failing], {(OUTSIDE, Number): [Failing]}),
            Worker("good", [Keeper], {(OUTSIDE, Number): [Keeper]}),
        ],
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
        workers = [Worker("a", [broken]), Worker("b", [Keeper], {(9, Number): [Keeper]})]
        with Messenger(CircularBus(4096), workers).run() as handles:
            if hook != "on_stop":
                handles.join(20)
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


class UnspeakableError(Exception):
    def __str__(self):
        raise ValueError("no text")


def test_error_without_a_text_is_raised_all_the_same_and_kept_records_stay_whole():
    kept = []

    class Keeping(Handler, id=42):
        @on(Reading)
        def reading(self, reading):
            kept.append(reading)
            if reading.number == 7:
                raise UnspeakableError

    bus = CircularBus(4096)
    workers = [
        Worker("a", [Keeping], {(OUTSIDE, Reading): [Keeping]}),
        Worker("b", [Keeper], {(OUTSIDE, Number): [Keeper]}),
    ]
    with pytest.raises(HandlerError, match="UnspeakableError, whose text raises ValueError") as caught:
        with Messenger(bus, workers).run() as handles:
            for number in range(8):
                bus.sender(OUTSIDE).send(Reading(number=number))
            handles.join(20)
    assert caught.value.position is not None
    for _ in range(200):
        bus.write(1, 1, bytes(64))
    assert [one.number for one in kept] == list(range(8))


def test_second_error_is_noted_and_logged(caplog):
    class AlsoFailing(Handler, id=43):
        @on(Number)
        def number(self, number):
            pass

        def on_stop(self):
            raise OSError("on the way out")

    bus = CircularBus(1 << 16)
    worker = Worker("a", [Failing, AlsoFailing], {(OUTSIDE, Number): [Failing, AlsoFailing]})
    with pytest.raises(HandlerError, match="three is too much") as caught:
        with Messenger(bus, [worker], {"seen": []}).run() as handles:
            bus.sender(OUTSIDE).send(Number(3))
            handles.join(20)
    assert any("on the way out" in note for note in caught.value.__notes__)
    assert "on the way out" in caplog.text


def test_claim_that_a_handler_leaves_open_is_aborted_and_told():
    class Forgetful(Handler, id=44):
        @on(Number)
        def number(self, number):
            self.claim_left_open = self.claim(Reading)
            self.claim_left_open.__enter__()

    bus = CircularBus(1 << 16)
    with pytest.raises(HandlerError, match="returned with a claim open") as caught:
        with Messenger(bus, [Worker("a", [Forgetful], {(OUTSIDE, Number): [Forgetful]})]).run() as handles:
            bus.sender(OUTSIDE).send(Number(1))
            handles.join(20)
    assert caught.value.message == Number(1)
    assert bus.statistics().aborted == 1


def test_handler_that_is_used_in_another_thread_says_so():
    errors = []

    class Threaded(Handler, id=45):
        def on_start(self):
            def elsewhere():
                try:
                    self.send(Number(1))
                except HandleInUseError as error:
                    errors.append(str(error))

            thread = threading.Thread(target=elsewhere)
            thread.start()
            thread.join()
            self.stop()

    with Messenger(CircularBus(1 << 16), [Worker("a", [Threaded])]).run() as handles:
        handles.join(20)
    assert errors == ["a handler is used in its worker's thread; in another, use bus.sender()"]


def test_handler_cannot_wait_for_its_own_worker():
    class Waiting(Handler, id=46):
        def on_start(self):
            self.config["messenger"].stop()

    config = {}
    config["messenger"] = messenger = Messenger(CircularBus(4096), [Worker("a", [Waiting])], config)
    with pytest.raises(HandlerError, match="cannot wait for its own worker"):
        messenger.run().join(20)


def test_exit_in_a_handler_stops_everything_whatever_the_policy():
    class Leaving(Handler, id=47):
        @on(Number)
        def number(self, number):
            raise SystemExit(3)

    bus = CircularBus(1 << 16)
    worker = Worker("a", [Leaving], {(OUTSIDE, Number): [Leaving]}, on_error="skip")
    with pytest.raises(HandlerError) as caught, Messenger(bus, [worker]).run() as handles:
        bus.sender(OUTSIDE).send(Number(1))
        handles.join(20)
    assert isinstance(caught.value.__cause__, SystemExit)
