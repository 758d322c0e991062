"""One worker in a process of its own, as its messenger sees it; its death, and its next life."""

from __future__ import annotations

import dataclasses
import functools
import logging
import math
import signal
import threading
import time
from contextlib import suppress
from typing import Any, Protocol

from nanobus.bus.base import Bus
from nanobus.bus.circular import CircularBus
from nanobus.bus.handover import Place
from nanobus.errors import BusClosedError, HandlerError, NanobusError, WorkerDiedError
from nanobus.journaling import cursors_of
from nanobus.processes.alarm import Alarm
from nanobus.processes.launching import hold_back_signals
from nanobus.processes.lives import EXIT_SECONDS, Life
from nanobus.processes.placement import assignment_of, shared
from nanobus.processes.reports import handle, handler_error, log, refusal
from nanobus.processes.scribe import Scribe
from nanobus.processes.words import Built, Counted, Done, Failed, Logged, ReadLast, Refused, StopWanted
from nanobus.routing import Worker
from nanobus.running import Completion, start
from nanobus.staff import text_of

ANSWER_SECONDS = 1.0                        # how long counters are waited for: a handler may hold the child's GIL
LONGEST_BACKOFF = 60.0                      # seconds
LAST_SECONDS = 1.0                          # for the message at hand, and for goodbye, of who is forced to end
LOG_SECONDS = 5.0                           # how long the end waits for what is not logged yet; the rest comes later
BUILDING_SECONDS = 30.0                     # at least, for a process that begins at the head


class Others(Protocol):
    """What the stand-in of a worker needs from those the worker runs with."""

    def starts(self) -> bool | None: ...                # None: not every worker is built
    def call_off(self) -> None: ...
    def keep(self, error: NanobusError) -> bool: ...    # false: it is to be logged, another one came first
    def nobody_reads(self) -> bool: ...
    def request_stop(self, drain: bool = True) -> None: ...


class WorkerProcess:
    """What RunningWorker is for a worker in a thread. Made in the caller's thread, which takes a place on the bus for
    it; a thread of its own starts the process, listens to it, sees it end, and starts the next one. What there is to
    log is for another one: the program's handlers may block.

    The place of a dead worker holds up the writers of a ring, until the next process is built or Worker.hold is over;
    then it is let go, and whoever comes next takes a new one, at the head.
    """

    def __init__(self, others: Others, worker: Worker, bus: Bus, config: Any) -> None:
        self.worker = worker
        self.thread: threading.Thread | None = None
        self.built = Completion()
        self.done = Completion()
        self.reads_no_more = False
        self._others = others
        self._bus = shared(bus)
        self._config = config
        self._lock = threading.RLock()      # a signal handler may ask for the stop while its thread holds it
        self._answers = threading.Condition()
        self._runs = False
        self._abandoned = False
        self._forced = False
        self._bus_was_open = True
        self._stop_at: int | None = None
        self._restarts = 0
        self._asked = self._answered = 0
        self._answers_now = False           # there is a process, and it listens
        self._counters: dict[str, int] = {}
        self._former = {"handled": 0, "skipped": 0, "failures": 0}      # of the lives before
        self._assignment = assignment_of(worker, self._bus, config)
        self._place: Place | None = None
        self._left_at: int | None = None    # where the place was that is let go
        self._hold_until = math.inf         # monotonic seconds
        self._scribe = Scribe(f"nanobus-{worker.name}-log", self._tell_of_missed)
        if worker.cursor is None:
            self._take_place()
        self._alarm = Alarm()
        self._bus.watch(self._alarm)

    def start(self) -> None:
        self.thread = threading.Thread(target=self._supervise, name=f"nanobus-{self.worker.name}", daemon=True)
        start(self.thread)

    def request_stop(self, position: int) -> None:
        """Stop before the slot at `position`; of several requests the earliest counts. Safe from any thread.

        A worker that was not started never will be.
        """
        with self._lock:
            self._stop_at = position if self._stop_at is None else min(position, self._stop_at)
            if not self._runs and not self._abandoned:
                self._abandoned = True
                self._end()
        self._alarm.ring()

    def force(self) -> None:
        """Give the process LAST_SECONDS to end, then kill it. Goes with a stop that does not drain. Safe anywhere."""
        self._forced = True
        self._alarm.ring()

    def statistics(self) -> dict[str, int]:
        """The counters of all lives together; those of one that was killed are as somebody last saw them."""
        with self._answers:
            self._asked += 1
            wanted = self._asked
            self._alarm.ring()
            self._answers.wait_for(lambda: self._answered >= wanted or not self._answers_now, ANSWER_SECONDS)
            counters = {"handled": 0, "skipped": 0, "failures": 0, "held": 0} | self._counters
            for name, count in self._former.items():
                counters[name] += count
        return counters | {"restarts": self._restarts}

    def _supervise(self) -> None:
        hold_back_signals()
        with self._lock:
            self._runs = not self._abandoned
        if not self._runs:
            return
        try:
            while self._live() and self._rest():
                pass
        except BaseException as error:
            failure = NanobusError(f"worker {self.worker.name!r} cannot have a process: {text_of(error)}")
            failure.__cause__ = error
            self._fail(failure)
        finally:
            self._end()

    def _end(self) -> None:
        try:
            if not self.built.is_set():
                self._others.call_off()         # whoever waits for this worker need not any more
            if self._place is not None:
                self._place.let_go()
        finally:
            self.reads_no_more = True
            self._scribe.wait(LAST_SECONDS if self._forced else LOG_SECONDS)
            self.done.set()
            self._alarm.close()

    def _live(self) -> bool:
        """Let a process be the worker until it ends; return whether there is to be another one."""
        if self._left_at is not None:
            self._begin_at_head(self._left_at)
        if self.worker.process == "fork":
            self._scribe.wait(LAST_SECONDS)     # for the copy to get none of the locks that handlers take
        life = Life(self._assignment, self.worker, self._config, self._alarm)
        life.build_until(self._hold_until)
        try:
            self._attend(life)
        except BaseException:
            life.kill()                         # nobody would hear it, see it die, or stop it
            raise
        finally:
            code = life.wait()
            with self._answers:
                self._answers_now = False
                self._answers.notify_all()
            position = self._settle()
        if not life.has_finished:
            return self._mourn(life, code, position)
        if life.was_killed:
            text = f"did not end within {EXIT_SECONDS:.0f} s of its last word, and was killed"
            self._warn(f"the process of worker {self.worker.name!r} {text}")
        return False

    def _attend(self, life: Life) -> None:
        """Tell and hear, until the process has ended."""
        ended = False
        while not ended:
            starts = self._others.starts() if life.is_built else None
            nobody_reads = life.has_read_last and self._others.nobody_reads()
            life.tell(starts, self._stop_at, nobody_reads, self._asked)
            if self._forced:
                life.end_within(LAST_SECONDS)
            words, ended = life.listen()
            for word in words:
                self._hear(life, word)
            if life.has_finished:
                life.end_within(EXIT_SECONDS)
            elif not life.has_read_last:
                self._look_at_bus()

    def _hear(self, life: Life, word: object) -> None:
        match word:
            case Built():
                life.is_built = self._answers_now = True
                self._hold_until = math.inf
                self.built.set()
            case Logged():
                self._scribe.write(functools.partial(handle, word, self.worker), may_be_missed=True)
            case StopWanted(drain):
                self._others.request_stop(drain)
            case Failed():
                self._fail(handler_error(word, self.worker))
            case Refused():
                life.has_finished = True
                self._fail(refusal(word))
            case Counted(number, counters):
                self._note(number, counters)
            case ReadLast():
                life.has_read_last = self.reads_no_more = True
            case Done(counters):
                life.has_finished = True
                self._note(self._answered, counters)

    def _note(self, answered: int, counters: dict[str, int]) -> None:
        with self._answers:
            self._answered = answered
            self._counters = counters
            self._answers.notify_all()

    def _settle(self) -> int | None:
        """Settle what the process left behind; return where it had read to, unless it closed its reader."""
        position = self._position()
        with suppress(NanobusError):            # the others that have the bus open seal what they meet
            self._bus.reap()
        return position

    def _position(self) -> int | None:
        if self._place is not None:
            return self._place.reclaim()
        try:
            return cursors_of(self._bus).get(self.worker.cursor or "")
        except (NanobusError, OSError):         # closed, or not there any more
            return None

    def _mourn(self, life: Life, code: int, position: int | None) -> bool:
        """Tell of a death; return whether there may be another life."""
        name = signal_name(-code) if code < 0 else None
        how = f"exited with code {code}" if name is None else f"was ended by {name}"
        if life.was_late:
            how = "was not built in time, and was killed"
        if self._stop_at is not None:
            how += " while it was to stop"
        where = "" if position is None else f", having handled every message before position {position}"
        text = f"the process of worker {self.worker.name!r} {how}{where}"
        if self._may_live_again(life, position):
            self._warn(text)
            if self._place is not None and isinstance(self._bus, CircularBus):      # a journal's writers never wait
                self._hold_until = min(self._hold_until, time.monotonic() + self.worker.hold)
            return True
        if self._restarts:
            text += f", after {self._restarts} restarts"
        self._fail(
            WorkerDiedError(
                text, worker=self.worker.name, exit_code=code if name is None else None, signal=name, position=position
            )
        )
        return False

    def _may_live_again(self, life: Life, position: int | None) -> bool:
        return (
            self.worker.restart == "on-failure"
            and self._restarts < self.worker.max_restarts
            and not life.has_read_last                  # else it died saying goodbye
            and (self._place is None or position is not None)
            and not self._forced
        )

    def _rest(self) -> bool:
        """Rest as long as the worker's backoff says, or until a stop is wanted; return whether to live again then."""
        deadline = time.monotonic() + seconds_of_rest(self.worker.backoff, self._restarts)
        while (left := self._seconds_until(deadline)) > 0 and self._stop_at is None and not self._bus.closed:
            self._alarm.sleep(left)
        self._look_at_bus()
        if self._bus.closed or self._others.starts() is False or self._has_nothing_left():
            self._warn(f"worker {self.worker.name!r} is not started again: it is to stop")
            return False
        self._warn(f"worker {self.worker.name!r} is started again, for the {self._restarts + 1}. time")
        with self._answers:
            self._restarts += 1
            for name in self._former:
                self._former[name] += self._counters.get(name, 0)
            self._counters = {}
        return True

    def _seconds_until(self, deadline: float) -> float:
        """Let go of the place once that has been held for long enough; return for how long there is nothing to do."""
        now = time.monotonic()
        if now >= self._hold_until and self._place is not None:
            self._left_at = self._position() or 0           # nobody has the ticket: the process has ended
            self._place.let_go()
            self._place = None
            self._hold_until = math.inf
        return min(deadline, self._hold_until) - now

    def _has_nothing_left(self) -> bool:
        """Whether a stop is wanted, and everything before it handled or given up."""
        if self._stop_at is None:
            return False
        if self._left_at is None:
            return (self._position() or 0) >= self._stop_at
        self._tell_of_gap(self._left_at, self._stop_at)
        return True

    def _begin_at_head(self, left_at: int) -> None:
        self._take_place()
        self._left_at = None
        self._hold_until = time.monotonic() + max(self.worker.hold, BUILDING_SECONDS)
        self._tell_of_gap(left_at, self._position() or 0)

    def _take_place(self) -> None:
        self._place = self._bus.hold()
        self._assignment = dataclasses.replace(self._assignment, ticket=self._place.ticket)

    def _tell_of_gap(self, begin: int, end: int) -> None:
        if begin < end:
            text = f"does not handle the messages at positions from {begin} to {end}"
            self._warn(f"worker {self.worker.name!r} {text}: its place was let go after {self.worker.hold} s")

    def _fail(self, error: NanobusError) -> None:
        if not self._others.keep(error):
            self._scribe.write(functools.partial(log, logging.ERROR, str(error), error.__cause__))

    def _warn(self, text: str) -> None:
        self._scribe.write(functools.partial(log, logging.WARNING, text))

    def _tell_of_missed(self, records: int) -> None:
        log(
            logging.WARNING,
            f"{records} log records of worker {self.worker.name!r} are missing: the program's handlers are too slow",
        )

    def _look_at_bus(self) -> None:
        """Fail, as a worker in a thread does, where the messenger's bus was closed: nothing else would stop the child,
        which has it open on its own."""
        if self._bus.closed and self._bus_was_open:
            self._bus_was_open = False
            cause = BusClosedError("the bus of this worker is closed")
            failure = HandlerError(
                f"worker {self.worker.name!r} failed: {text_of(cause)}",
                worker=self.worker.name, handler=None, message=None, position=None,
            )
            failure.__cause__ = cause
            self._fail(failure)


def seconds_of_rest(backoff: float, restarts: int) -> float:
    return min(backoff * 2.0 ** min(restarts, 1000), LONGEST_BACKOFF)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:                          # one of the real-time signals
        return f"signal {number}"
