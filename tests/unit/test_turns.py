"""Slow handlers: hooks, timers, the outbox, a stop and the end of the bus come between their calls."""

import ctypes
import threading
import time

import pytest

from nanobus import (
    BusClosedError,
    CircularBus,
    Handler,
    HandlerError,
    Messenger,
    Record,
    Worker,
    i64,
    message,
    native,
    on,
)

OUTSIDE = 500
SECONDS = 30
SLOW = 0.003                                # longer than a turn


@message(id=1321)
class Job(Record):
    number: i64


@message(id=1322)
class Result(Record):
    number: i64


def slow_function(notes):
    @ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)
    def work(received, payload, outlet, state):
        notes.append("call")
        time.sleep(SLOW)
        return 0

    return work


class Working(Handler):
    @on(Job)
    def jobs(self, job):
        self.config.append("call")
        time.sleep(SLOW)


class Batching(Handler):
    @on(Job, batch=1)
    def jobs(self, jobs, positions):
        self.config.append("call")
        time.sleep(SLOW)


def handlers(notes):
    """A base of each kind of slow handler; each of its calls is in `notes`."""

    class Native(Handler):
        jobs = on(Job)(native(slow_function(notes)))

    return {"python": Working, "native": Native, "batch": Batching}


KINDS = pytest.mark.parametrize("kind", ["python", "native", "batch"])


def runs_of(notes, what):
    """The lengths of the runs of `what` in `notes`."""
    return [len(run) for run in "".join("x" if note == what else " " for note in notes).split()]


def needs_numpy(kind):
    if kind == "batch":
        pytest.importorskip("numpy")


@KINDS
def test_hooks_come_between_slow_calls(kind):
    needs_numpy(kind)
    notes = []

    class Kept(handlers(notes)[kind], id=70):
        def on_start(self):
            for number in range(40):
                sender.send(Job(number))

        def on_loop(self):
            self.config.append("hook")
            if self.config.count("call") == 40:
                self.stop()

    bus = CircularBus(1 << 16)
    sender = bus.sender(OUTSIDE)
    with Messenger(bus, [Worker("a", [Kept], {(OUTSIDE, Job): [Kept]})], notes).run() as handles:
        handles.join(SECONDS)
    assert sum(runs_of(notes, "call")) == 40
    assert max(runs_of(notes, "call")) <= 2                 # the first of a turn is not looked at


@KINDS
def test_a_stop_that_does_not_drain_comes_between_slow_calls(kind):
    needs_numpy(kind)
    notes = []

    class Kept(handlers(notes)[kind], id=71):
        def on_start(self):
            for number in range(40):
                sender.send(Job(number))

        def on_loop(self):
            if "call" in notes and running.wait(SECONDS):
                handles.request_stop(drain=False)

    bus = CircularBus(1 << 16)
    sender, running = bus.sender(OUTSIDE), threading.Event()
    with Messenger(bus, [Worker("a", [Kept], {(OUTSIDE, Job): [Kept]})], notes).run() as handles:
        running.set()
        handles.join(SECONDS)
    assert 1 <= len(notes) <= 4


@pytest.mark.parametrize("kind", ["python", "native"])
def test_a_worker_that_is_fed_in_bursts_learns_that_it_is_slow(kind):
    """An empty bus between the bursts says nothing about the calls."""
    notes = []

    class Kept(handlers(notes)[kind], id=72):
        sent = 0

        def on_loop(self):
            notes.append("hook")
            if notes.count("call") < self.sent:
                return
            if self.sent == 40:
                self.stop()
                return
            for number in range(8):
                self.send(Job(number))
            self.sent += 8

    with Messenger(CircularBus(1 << 16), [Worker("a", [Kept], {(Kept, Job): [Kept]})], notes).run() as handles:
        handles.join(SECONDS)
    first, *later = runs_of(notes, "call")
    assert first <= 2
    assert set(later) == {1}


def test_the_outbox_goes_out_between_slow_calls():
    """The first call says a bit more than the ring has room for; that the worker goes on makes room for the rest."""
    seen = []                                               # how many results were there, call by call

    class Kept(Handler, id=73):
        def on_start(self):
            for number in range(40):
                sender.send(Job(number))

        @on(Job)
        def job(self, job):
            if job.number == 0:
                for number in range(30):
                    self.send(Result(number))
            self.results = getattr(self, "results", 0)
            while (one := reader.read(0)) is not None:
                self.results += one.message_id == 1322
            seen.append(self.results)
            if self.results == 30 and running.wait(SECONDS):
                handles.request_stop(drain=False)
            time.sleep(SLOW)

    bus = CircularBus(4096)
    sender, reader, running = bus.sender(OUTSIDE), bus.reader("newest"), threading.Event()
    with Messenger(bus, [Worker("a", [Kept], {(OUTSIDE, Job): [Kept]})]).run() as handles:
        running.set()
        handles.join(SECONDS)
    assert seen[0] < 30
    assert seen[-1] == 30
    assert len(seen) < 20


@KINDS
def test_a_closed_bus_ends_a_worker_that_has_a_backlog(kind):
    needs_numpy(kind)
    notes = []

    class Kept(handlers(notes)[kind], id=74):
        def on_start(self):
            for number in range(100):
                sender.send(Job(number))

    bus = CircularBus(1 << 16)
    sender = bus.sender(OUTSIDE)
    with pytest.raises(HandlerError, match="the bus of this worker is closed") as told:
        with Messenger(bus, [Worker("a", [Kept], {(OUTSIDE, Job): [Kept]})], notes).run() as handles:
            while not notes:
                time.sleep(0.001)
            bus.close()
            before = len(notes)
            handles.join(SECONDS)
    assert isinstance(told.value.__cause__, BusClosedError)
    assert len(notes) <= before + 2


def test_a_closed_bus_ends_a_native_worker_whose_calls_are_fast():
    """Nobody looks at each of them; every 64th is enough."""
    calls, bus = [], CircularBus(1 << 18)

    @ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)
    def close(received, payload, outlet, state):
        calls.append(None)
        if len(calls) == 100:
            bus.close()
        return 0

    class Kept(Handler, id=75):
        jobs = on(Job)(native(close))

        def on_start(self):
            for number in range(2000):
                sender.send(Job(number))

    sender = bus.sender(OUTSIDE)
    with pytest.raises(HandlerError, match="the bus of this worker is closed"):
        with Messenger(bus, [Worker("a", [Kept], {(OUTSIDE, Job): [Kept]})]).run() as handles:
            handles.join(SECONDS)
    assert 100 <= len(calls) <= 164


@pytest.mark.parametrize(("kind", "most"), [("python", 16), ("native", 64)])
def test_calls_that_become_slow_hold_a_hook_up_for_a_few(kind, most):
    notes = []

    def work():
        notes.append("call")
        if notes.count("call") > 200:
            time.sleep(SLOW)

    @ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)
    def function(received, payload, outlet, state):
        work()
        return 0

    class Python(Handler):
        @on(Job)
        def jobs(self, job):
            work()

    class Native(Handler):
        jobs = on(Job)(native(function))

    class Kept({"python": Python, "native": Native}[kind], id=76):
        def on_start(self):
            for number in range(300):
                sender.send(Job(number))

        def on_loop(self):
            notes.append("hook")
            if notes.count("call") == 300:
                self.stop()

    bus = CircularBus(1 << 16)
    sender = bus.sender(OUTSIDE)
    with Messenger(bus, [Worker("a", [Kept], {(OUTSIDE, Job): [Kept]})]).run() as handles:
        handles.join(SECONDS)
    slow = [number for number, note in enumerate(notes) if note == "call"][200]
    assert max(runs_of(notes[slow:], "call")) <= most
