"""Replay in rebuild mode: the handlers of a messenger on what a bus holds, and nothing written."""

import threading
import time
from datetime import UTC, datetime, timedelta

import pytest

from nanobus import (
    CircularBus,
    Handler,
    Messenger,
    NotRunningError,
    ReplayResult,
    Worker,
    every,
    on,
)
from services import OUTSIDE, Answer, Keeper, Noting, Number, Reading, filled


class Accountant(Handler, id=100):
    """Its state depends on every message, in order, and on its clock and its chance."""

    def __init__(self, config):
        super().__init__(config)
        self.history = []
        self.ticks = 0

    def on_start(self):
        self.send(Answer(-1))

    @on(Number)
    def number(self, number):
        self.history.append((number.value, self.now, self.random.random()))
        self.send(Answer(number.value))
        with self.claim(Reading) as reading:
            reading.number = abs(number.value)

    @on(Reading)
    def reading(self, reading):
        self.history.append((reading.number, self.now, self.random.random()))

    @every(0.002)
    def tick(self):
        self.ticks += 1
        self.history.append(("tick", self.now, self.random.random()))
        self.send(Answer(self.ticks))


class Sum(Handler, id=101):
    def __init__(self, config):
        super().__init__(config)
        self.total = 0

    @on(Answer)
    def answer(self, answer):
        self.total += answer.value


WORKERS = [
    Worker("books", [Accountant], {(OUTSIDE, Number): [Accountant], (Accountant, Reading): [Accountant]}),
    Worker("sum", [Sum], {(Accountant, Answer): [Sum]}),
]


NUMBERS = (3, 1, 4, 1, 5)


def has_booked_all(live):
    """Whether the Accountant has had each number, the reading that followed it, and some ticks."""
    return live[Accountant].ticks >= 3 and len(live[Accountant].history) - live[Accountant].ticks == 2 * len(NUMBERS)


def recorded(workers=WORKERS, numbers=NUMBERS, until=has_booked_all):
    """Run until the live handlers are as wished; return the bus, the messenger, and those handlers by class."""
    bus = CircularBus(1 << 22, timestamps=True)
    live = {}
    messenger = Messenger(bus, workers)
    with catching_handlers(live), messenger.run() as handles:
        sender = bus.sender(OUTSIDE)
        for number in numbers:
            sender.send(Number(number))
        while not until(live) and not handles.finished:
            time.sleep(0.001)
    return bus, messenger, live


class catching_handlers:  # noqa: N801  read as a verb
    """Keeps the instances that are made meanwhile."""

    def __init__(self, live):
        self.live = live

    def __enter__(self):
        self.init = Handler.__init__

        def keep(handler, config=None):
            self.live[type(handler)] = handler
            self.init(handler, config)

        Handler.__init__ = keep

    def __exit__(self, *exception):
        Handler.__init__ = self.init


def snapshot(bus):
    with bus.reader() as reader:
        return bus.head, bus.statistics().committed, bus.statistics().aborted, [
            (one.position, one.payload) for one in iter(lambda: reader.read(0), None)
        ]


def test_rebuilt_handlers_have_the_state_of_the_live_ones():
    bus, messenger, live = recorded()
    result = messenger.replay(bus)
    assert isinstance(result, ReplayResult)
    assert set(result.handlers) == {Accountant, Sum}
    handled = len(live[Accountant].history)
    assert result.handlers[Accountant].history[:handled] == live[Accountant].history
    assert len(result.handlers[Accountant].history) - handled <= 1      # a tick that the stop came before


def test_a_run_that_handled_everything_is_rebuilt_exactly():
    class Doubling(Handler, id=102):
        def __init__(self, config):
            super().__init__(config)
            self.values = []

        @on(Number)
        def number(self, number):
            self.values.append((number.value, self.now, self.random.random()))
            self.send(Answer(2 * number.value))

    workers = [
        Worker("a", [Doubling], {(OUTSIDE, Number): [Doubling]}),
        Worker("b", [Sum], {(Doubling, Answer): [Sum]}),
    ]
    bus, messenger, live = recorded(workers, range(1000), lambda live: live[Sum].total == 999 * 1000)
    result = messenger.replay(bus)
    assert result.handlers[Doubling].values == live[Doubling].values
    assert result.handlers[Sum].total == live[Sum].total == 999 * 1000
    assert (result.messages, result.handled, result.sends) == (2000, 2000, 1000)
    assert (result.compared, result.unfinished, result.failures) == (0, 0, 0)
    with bus.reader(result.last) as reader:
        assert (result.first, reader.read(0).position, reader.read(0)) == (0, result.last, None)
    assert result.seconds > 0
    with pytest.raises(AttributeError):
        result.messages = 3


def test_nothing_is_written():
    bus, messenger, _ = recorded()
    before = snapshot(bus)
    writers = len(bus.statistics().writers)
    result = messenger.replay(bus)
    assert result.sends > 10
    assert snapshot(bus) == before
    assert len(bus.statistics().writers) == writers
    assert len(bus.statistics().readers) == 0


def test_hooks_run_except_on_loop_and_their_sends_go_nowhere():
    class Hooked(Handler, id=103):
        def __init__(self, config):
            super().__init__(config)
            self.calls = ["init"]
            self.send(Answer(0))

        def on_start(self):
            self.calls.append("start")
            with self.claim(Reading) as reading:
                reading.number = 1
                self.send(Answer(1))

        def on_loop(self):
            self.calls.append("loop")

        @on(Number)
        def number(self, number):
            self.calls.append((number.value, threading.current_thread() is threading.main_thread()))

        def on_stop(self):
            self.calls.append("stop")
            self.send(Answer(2))

    bus = CircularBus(1 << 16)
    bus.sender(OUTSIDE).send(Number(7))
    head = bus.head
    result = Messenger(bus, [Worker("a", [Hooked], {(OUTSIDE, Number): [Hooked]})]).replay(bus)
    assert result.handlers[Hooked].calls == ["init", "start", (7, True), "stop"]
    assert (result.sends, bus.head) == (4, head)
    with pytest.raises(NotRunningError):
        result.handlers[Hooked].send(Answer(3))


def test_ticks_come_from_the_record_and_from_nowhere_else():
    class Clock(Handler, id=104):
        def __init__(self, config):
            super().__init__(config)
            self.ticks = []

        @every(1e-6)
        def fast(self):
            self.ticks.append(("fast", self.now))
            time.sleep(0.001)

        @every(1e9)
        def slow(self):
            self.ticks.append(("slow", self.now))

    bus, messenger, live = recorded([Worker("a", [Clock])], (), lambda live: len(live[Clock].ticks) > 3)
    result = messenger.replay(bus)
    assert result.handlers[Clock].ticks[:len(live[Clock].ticks)] == live[Clock].ticks
    assert {name for name, _ in result.handlers[Clock].ticks} == {"fast"}
    assert result.handled == len(result.handlers[Clock].ticks)


def test_workers_take_turns_in_the_order_of_positions():
    order = []

    class First(Handler, id=105):
        @on(Number)
        def number(self, number):
            order.append(("first", number.value))

    class Second(Handler, id=106):
        @on(Number)
        def number(self, number):
            order.append(("second", number.value))

    bus = CircularBus(1 << 16)
    sender = bus.sender(OUTSIDE)
    for number in range(100):
        sender.send(Number(number))
    workers = [Worker(one.__name__, [one], {(OUTSIDE, Number): [one]}) for one in (First, Second)]
    Messenger(bus, workers).replay(bus)
    assert order == [(who, number) for number in range(100) for who in ("first", "second")]


def test_only_those_that_are_named_take_part():
    bus, messenger, live = recorded()
    assert set(messenger.replay(bus, only=["sum"]).handlers) == {Sum}
    assert set(messenger.replay(bus, only=[Accountant]).handlers) == {Accountant}
    assert set(messenger.replay(bus, only=[Accountant, "sum"]).handlers) == {Accountant, Sum}

    class Other(Sum, id=107):
        pass

    both = Messenger(bus, [Worker("both", [Sum, Other], {(100, Answer): [Sum, Other]})])
    result = both.replay(bus, only=[Other])
    assert set(result.handlers) == {Other}
    assert result.handlers[Other].total >= live[Sum].total
    assert both.workers[0].handlers == (Sum, Other)


def test_start_and_until_cut_out_a_part():
    bus, positions, messenger = filled()
    values = lambda **arguments: messenger.replay(bus, **arguments).handlers[Noting].values  # noqa: E731
    assert values(until=positions[4]) == [0, 1, 2, 3]
    assert values(until=positions[4] + 1) == [0, 1, 2, 3, 4]
    assert values(until=0) == []
    assert values(until=10**9) == list(range(10))
    assert values(start=positions[7]) == [7, 8, 9]
    assert values(start=positions[3], until=positions[5]) == [3, 4]
    assert values(start=bus.head) == []
    nothing = messenger.replay(bus, until=0)
    assert (nothing.first, nothing.last, nothing.messages) == (None, None, 0)


def test_until_a_time_stops_before_the_first_message_of_that_time():
    bus = CircularBus(1 << 16, timestamps=True)
    sender = bus.sender(OUTSIDE)
    sender.send(Number(1))
    time.sleep(0.002)
    between = datetime.now(UTC)
    time.sleep(0.002)
    sender.send(Number(2))
    messenger = Messenger(bus, [Worker("a", [Noting], {(OUTSIDE, Number): [Noting]})])
    for zone in (UTC, None):
        assert messenger.replay(bus, until=between.astimezone(zone)).handlers[Noting].values == [1]
    assert messenger.replay(bus, until=between + timedelta(days=1)).handlers[Noting].values == [1, 2]
    assert messenger.replay(bus, until=between - timedelta(days=1)).handlers[Noting].values == []


def test_speed_keeps_the_distances_in_time(monkeypatch):
    clock = [1000.0]
    sleeps = []
    monkeypatch.setattr("nanobus.replaying.time.monotonic", lambda: clock[0])

    def sleep(seconds):
        sleeps.append(seconds)
        clock[0] += seconds

    bus = CircularBus(1 << 16, timestamps=True)
    sender = bus.sender(OUTSIDE)
    positions = []
    for number in range(3):
        positions.append(sender.send(Number(number)))
        time.sleep(0.01)
    stamps = [bus.read(position).timestamp for position in positions]
    messenger = Messenger(bus, [Worker("a", [Noting], {(OUTSIDE, Number): [Noting]})])
    monkeypatch.setattr("nanobus.replaying.time.sleep", sleep)
    for speed in (1.0, 2, 0.5):
        sleeps.clear()
        assert messenger.replay(bus, speed=speed).handlers[Noting].values == [0, 1, 2]
        assert sum(sleeps) == pytest.approx((stamps[2] - stamps[0]) / 1e9 / speed)
        assert len(sleeps) == 2


def test_aborted_claims_are_no_messages():
    bus, _, messenger = filled(3)
    for _ in range(2):
        with pytest.raises(ZeroDivisionError), bus.sender(OUTSIDE).claim(Reading):
            raise ZeroDivisionError
    result = messenger.replay(bus)
    assert (result.messages, result.handlers[Noting].values) == (3, [0, 1, 2])


def test_replay_ends_at_the_head_it_saw_while_others_go_on_writing():
    class Writing(Noting, id=112):
        @on(Number)
        def number(self, number):
            super().number(number)
            self.config.write(OUTSIDE, 1101, self.config.read(0).payload)

    bus, _, _ = filled()
    messenger = Messenger(bus, [Worker("a", [Writing], {(OUTSIDE, Number): [Writing]})], bus)
    assert messenger.replay(bus).handlers[Writing].values == list(range(10))


def test_replay_runs_beside_a_run():
    bus = CircularBus(1 << 20)
    config = {"seen": []}
    messenger = Messenger(bus, [Worker("a", [Keeper], {(OUTSIDE, Number): [Keeper]})], config)
    with messenger.run():
        bus.sender(OUTSIDE).send(Number(1))
        result = messenger.replay(bus)
    assert result.messages == 1
    assert config["seen"] == [("Keeper", 1)] * 2
