"""How a replay ends early: arguments that are no good, errors of handlers, interrupts, a bus that cannot be read."""

import logging
import os
import signal
import threading
import time
from datetime import UTC, datetime

import pytest

from nanobus import (
    BusClosedError,
    CircularBus,
    CorruptMessageError,
    HandlerError,
    MessageTooLargeError,
    Messenger,
    NanobusError,
    Worker,
    on,
)
from services import OUTSIDE, Answer, Keeper, Noting, Number, Reading, filled


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"mode": "inspect"}, ValueError, 'mode must be "rebuild" or "verify", got \'inspect\''),
        ({"only": []}, ValueError, "only must name somebody"),
        ({"only": "a"}, TypeError, "only must be a sequence .*, got 'a'"),
        ({"only": Noting}, TypeError, "only must be a sequence"),
        ({"only": ["b"]}, ValueError, "only must name workers or handlers of this messenger, got 'b'"),
        ({"only": [Keeper]}, ValueError, "only must name .* got .*Keeper"),
        ({"only": [3]}, ValueError, "only must name .* got 3"),
        ({"until": -1}, ValueError, "until must be a position >= 0, got -1"),
        ({"until": True}, TypeError, "until must be a position, a datetime or None, got True"),
        ({"until": 1.5}, TypeError, "until must be .* got 1.5"),
        ({"until": datetime(2026, 1, 1)}, ValueError, "until must be a time with a time zone"),
        ({"speed": 0}, ValueError, "speed must be > 0, got 0"),
        ({"speed": float("nan")}, ValueError, "speed must be > 0, got nan"),
        ({"speed": "fast"}, TypeError, "speed must be a number or None, got 'fast'"),
        ({"start": "middle"}, ValueError, "start must be"),
        ({"start": 3}, ValueError, "none starts at 3"),
    ],
)
def test_bad_arguments_are_named(arguments, error, text):
    bus, _, messenger = filled()
    with pytest.raises(error, match=text):
        messenger.replay(bus, **arguments)
    assert bus.statistics().readers == ()


def test_what_is_replayed_is_an_open_bus():
    bus, _, messenger = filled()
    with pytest.raises(TypeError, match="journal must be a Bus, got 'journal'"):
        messenger.replay("journal")
    bus.close()
    with pytest.raises(BusClosedError):
        messenger.replay(bus)


@pytest.mark.parametrize("arguments", [{"speed": 1.0}, {"until": datetime.now(UTC)}])
def test_times_need_a_bus_with_timestamps(arguments):
    bus, positions, messenger = filled()
    with pytest.raises(ValueError, match=f"needs a bus with timestamps, and the message at {positions[0]} has none"):
        messenger.replay(bus, **arguments)


@pytest.mark.parametrize(("until", "handled"), [(datetime.max, 10), (datetime.min, 0)])
def test_time_that_no_message_can_have_is_before_or_behind_all(until, handled):
    bus, _, messenger = filled(timestamps=True)
    assert messenger.replay(bus, until=until.replace(tzinfo=UTC)).handled == handled


class Picky(Noting, id=109):
    def on_stop(self):
        self.config.append("stopped")

    @on(Number)
    def number(self, number):
        super().number(number)
        if number.value == 3:
            raise ValueError("three is too much")


def picky(on_error):
    bus, positions, _ = filled()
    config = []
    worker = Worker("a", [Picky], {(OUTSIDE, Number): [Picky]}, on_error=on_error)
    return bus, positions, Messenger(bus, [worker], config), config


def test_error_of_a_handler_is_raised_with_handler_message_and_position():
    bus, positions, messenger, config = picky("stop")
    with pytest.raises(HandlerError, match="Picky in worker 'a' failed on Number at position") as caught:
        messenger.replay(bus)
    error = caught.value
    assert (error.worker, error.handler, error.message, error.position) == ("a", Picky, Number(3), positions[3])
    assert isinstance(error.__cause__, ValueError)
    assert config == ["stopped"]
    assert bus.statistics().readers == ()


def test_error_that_the_policy_forgives_is_logged_and_counted(caplog):
    bus, _, messenger, _ = picky("skip")
    with caplog.at_level(logging.ERROR, "nanobus"):
        result = messenger.replay(bus)
    assert "three is too much" in caplog.text
    assert result.failures == 1
    assert result.handlers[Picky].values == list(range(10))
    asked = []
    bus, positions, messenger, _ = picky(lambda error: asked.append(error.position) or True)
    assert messenger.replay(bus).failures == 1
    assert asked == [positions[3]]


@pytest.mark.parametrize("place", ["__init__", "on_start", "on_stop"])
def test_error_outside_of_a_message_is_raised_too(place):
    def fail(self, *arguments):
        raise ValueError(place)

    failing = type("Failing", (Noting,), {place: fail}, id=110)
    bus, _, _ = filled()
    messenger = Messenger(bus, [Worker("a", [failing], {(OUTSIDE, Number): [failing]})])
    with pytest.raises(HandlerError, match=f"Failing in worker 'a' failed: ValueError: {place}"):
        messenger.replay(bus)


def test_claim_that_a_handler_leaves_open_is_told():
    class Forgetful(Noting, id=115):
        @on(Number)
        def number(self, number):
            self.left_open = self.claim(Reading)
            self.left_open.__enter__()

    bus, positions, _ = filled()
    messenger = Messenger(bus, [Worker("a", [Forgetful], {(OUTSIDE, Number): [Forgetful]})])
    with pytest.raises(HandlerError, match="returned with a claim open") as caught:
        messenger.replay(bus)
    assert caught.value.position == positions[0]


def test_message_that_is_too_large_for_the_bus_is_refused_as_in_a_run():
    class Large(Noting, id=116):
        @on(Number)
        def number(self, number):
            with pytest.raises(MessageTooLargeError):
                self.send(Answer("x" * (1 << 16)))
            super().number(number)

    bus, _, _ = filled()
    result = Messenger(bus, [Worker("a", [Large], {(OUTSIDE, Number): [Large]})]).replay(bus)
    assert (result.handlers[Large].values, result.sends) == (list(range(10)), 0)


def test_message_that_cannot_be_decoded_is_a_failure_of_its_worker():
    bus = CircularBus(1 << 16)
    bad = bus.write(OUTSIDE, 1101, b"\xc1")
    bus.sender(OUTSIDE).send(Number(1))
    for policy, values in (("stop", None), ("skip", [1])):
        messenger = Messenger(bus, [Worker("a", [Noting], {(OUTSIDE, Number): [Noting]}, on_error=policy)])
        if values is None:
            with pytest.raises(HandlerError, match=f"worker 'a' failed at position {bad}: DecodeError"):
                messenger.replay(bus)
        else:
            assert messenger.replay(bus).handlers[Noting].values == values


def test_interrupt_in_a_handler_is_raised_as_it_is():
    class Slow(Picky, id=111):
        @on(Number)
        def number(self, number):
            if number.value == 2:
                os.kill(os.getpid(), signal.SIGINT)
                time.sleep(30)

    bus, _, _ = filled()
    config = []
    messenger = Messenger(bus, [Worker("a", [Slow], {(OUTSIDE, Number): [Slow]})], config)
    for mode in ("rebuild", "verify"):
        with pytest.raises(KeyboardInterrupt):
            messenger.replay(bus, mode)
    assert config == ["stopped", "stopped"]
    assert bus.statistics().readers == ()


def test_interrupt_ends_a_sleep_between_messages():
    bus = CircularBus(1 << 16, timestamps=True)
    sender = bus.sender(OUTSIDE)
    sender.send(Number(1))
    time.sleep(0.3)
    sender.send(Number(2))
    config = []
    timer = threading.Timer(0.1, os.kill, (os.getpid(), signal.SIGINT))

    class Called(Picky, id=117):
        @on(Number)
        def number(self, number):
            timer.start()

    messenger = Messenger(bus, [Worker("a", [Called], {(OUTSIDE, Number): [Called]})], config)
    with pytest.raises(KeyboardInterrupt):
        messenger.replay(bus, speed=1e-3)           # five minutes
    timer.join()
    assert config == ["stopped"]


def test_interrupt_ends_the_wait_for_a_claim_in_flight():
    bus, _, messenger = filled()
    timer = threading.Timer(0.2, os.kill, (os.getpid(), signal.SIGINT))

    class Called(Noting, id=118):
        @on(Number)
        def number(self, number):
            if number.value == 9:
                timer.start()

    with bus.sender(OUTSIDE) as sender, sender.claim(Reading) as reading:
        reading.number = 1
        sender_behind = bus.sender(OUTSIDE)
        sender_behind.send(Number(10))
        with pytest.raises(KeyboardInterrupt):
            Messenger(bus, [Worker("a", [Called], {(OUTSIDE, Number): [Called]})]).replay(bus)
        timer.join()
    assert messenger.replay(bus).handlers[Noting].values == list(range(11))


def test_bus_that_is_closed_meanwhile_ends_the_replay():
    class Closing(Noting, id=113):
        @on(Number)
        def number(self, number):
            self.config.close()

    bus, _, _ = filled()
    messenger = Messenger(bus, [Worker("a", [Closing], {(OUTSIDE, Number): [Closing]})], bus)
    with pytest.raises(BusClosedError, match="closed while it was replayed"):
        messenger.replay(bus)


def test_what_was_overwritten_cannot_be_replayed():
    class Flooding(Noting, id=114):
        @on(Number)
        def number(self, number):
            for _ in range(2000):
                self.config.write(OUTSIDE, 1101, b"\x81\xa5value\x01")

    bus, _, _ = filled(overflow="overwrite")
    messenger = Messenger(bus, [Worker("a", [Flooding], {(OUTSIDE, Number): [Flooding]})], bus)
    with pytest.raises(NanobusError, match="were overwritten before they could be replayed"):
        messenger.replay(bus)


def test_damaged_message_ends_the_replay_and_is_named(tmp_path):
    bus = CircularBus(1 << 16, tmp_path / "ring", checksum=True)
    sender = bus.sender(OUTSIDE)
    positions = [sender.send(Number(1 << 40)) for _ in range(3)]
    payload = bus.read(positions[1]).payload
    raw = (tmp_path / "ring").read_bytes()
    places = [place for place in range(len(raw)) if raw.startswith(payload, place)]
    with (tmp_path / "ring").open("r+b") as file:
        file.seek(places[1] + 1)
        file.write(b"\xff")
    messenger = Messenger(bus, [Worker("a", [Noting], {(OUTSIDE, Number): [Noting]})])
    with pytest.raises(CorruptMessageError, match=f"the message at {positions[1]} "):
        messenger.replay(bus)
