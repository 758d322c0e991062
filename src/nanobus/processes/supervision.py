"""One worker in a process of its own, as its messenger sees it; its death, and its next life."""

from __future__ import annotations

import dataclasses
import logging
import signal
import threading
import time
from contextlib import suppress
from typing import Any, Protocol

from nanobus.bus.base import Bus
from nanobus.errors import BusClosedError, NanobusError, WorkerDiedError
from nanobus.journaling import cursors_of
from nanobus.processes.channel import Alarm, Built, Counted, Done, Failed, Logged, ReadLast, Refused, StopWanted
from nanobus.processes.launching import hold_back_signals
from nanobus.processes.lives import Life
from nanobus.processes.placement import assignment_of, shared
from nanobus.processes.reports import handle, handler_error, refusal
from nanobus.routing import Worker
from nanobus.running import Completion, start

logger = logging.getLogger("nanobus")

ANSWER_SECONDS = 1.0                        # how long counters are waited for: a handler may hold the child's GIL
LONGEST_BACKOFF = 60.0                      # seconds


class Others(Protocol):
    """What the stand-in of a worker needs from those the worker runs with."""

    def starts(self) -> bool | None: ...                # None: not every worker is built
    def call_off(self) -> None: ...
    def fail(self, error: NanobusError) -> None: ...
    def nobody_reads(self) -> bool: ...
    def request_stop(self, drain: bool = True) -> None: ...


class WorkerProcess:
    """What RunningWorker is for a worker in a thread. Made in the caller's thread, which takes a place on the bus for
    it; a thread of its own starts the process, listens to it, sees it end, and starts the next one.
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
        self._stop_at: int | None = None
        self._restarts = 0
        self._asked = self._answered = 0
        self._answers_now = False           # there is a process, and it listens
        self._counters: dict[str, int] = {}
        self._former = {"handled": 0, "skipped": 0, "failures": 0}      # of the lives before
        self._assignment = assignment_of(worker, self._bus, config)
        self._alarm = Alarm()
        self._place = self._bus.hold() if worker.cursor is None else None
        if self._place is not None:
            self._assignment = dataclasses.replace(self._assignment, ticket=self._place.ticket)

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
            while self._live():
                self._be_born_again()
        except BaseException as error:
            failure = NanobusError(f"worker {self.worker.name!r} cannot have a process: {error}")
            failure.__cause__ = error
            self._others.fail(failure)
        finally:
            self._end()

    def _end(self) -> None:
        if not self.built.is_set():
            self._others.call_off()             # whoever waits for this worker need not any more
        if self._place is not None:
            self._place.let_go()
        self.reads_no_more = True
        self.done.set()
        self._alarm.close()

    def _live(self) -> bool:
        """Let a process be the worker until it ends; return whether there is to be another one."""
        life = Life(self._assignment, self.worker, self._config, self._alarm)
        ended = False
        while not ended:
            starts = self._others.starts() if life.is_built else None
            nobody_reads = life.has_read_last and self._others.nobody_reads()
            life.tell(starts, self._stop_at, nobody_reads, self._asked)
            words, ended = life.listen()
            for word in words:
                self._hear(life, word)
        code = life.wait()
        with self._answers:
            self._answers_now = False
            self._answers.notify_all()
        return not life.has_finished and self._mourn(life, code)

    def _hear(self, life: Life, word: object) -> None:
        match word:
            case Built():
                life.is_built = self._answers_now = True
                self.built.set()
            case Logged():
                handle(word, self.worker)
            case StopWanted(drain):
                self._others.request_stop(drain)
            case Failed():
                self._others.fail(handler_error(word, self.worker))
            case Refused():
                life.has_finished = True
                self._others.fail(refusal(word))
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

    def _mourn(self, life: Life, code: int) -> bool:
        """Settle what the dead left behind; return whether it gets another life."""
        position = self._position_of_the_dead()
        with suppress(BusClosedError):          # whoever has the bus open will do it
            self._bus.reap()
        name = signal_name(-code) if code < 0 else None
        how = f"exited with code {code}" if name is None else f"was ended by {name}"
        where = "" if position is None else f", having handled every message before position {position}"
        text = f"the process of worker {self.worker.name!r} {how}{where}"
        if self._may_live_again(life, position):
            logger.warning("%s; it is started again, for the %d. time", text, self._restarts + 1)
            return True
        if self._restarts:
            text += f", after {self._restarts} restarts"
        self._others.fail(
            WorkerDiedError(
                text, worker=self.worker.name, exit_code=code if name is None else None, signal=name, position=position
            )
        )
        return False

    def _position_of_the_dead(self) -> int | None:
        if self._place is not None:
            return self._place.reclaim()
        try:
            return cursors_of(self._bus).get(self.worker.cursor or "")
        except BusClosedError:
            return None

    def _may_live_again(self, life: Life, position: int | None) -> bool:
        return (
            self.worker.restart == "on-failure"
            and self._restarts < self.worker.max_restarts
            and not life.has_read_last                  # else it died saying goodbye
            and (self._place is None or position is not None)
            and (self._stop_at is None or (position or 0) < self._stop_at)
            and self._others.starts() is not False
        )

    def _be_born_again(self) -> None:
        """Rest as long as the worker's backoff says, or until a stop is wanted."""
        backoff = min(self.worker.backoff * 2**self._restarts, LONGEST_BACKOFF)
        with self._answers:
            self._restarts += 1
            for name in self._former:
                self._former[name] += self._counters.get(name, 0)
            self._counters = {}
        deadline = time.monotonic() + backoff
        while self._stop_at is None and (left := deadline - time.monotonic()) > 0:
            self._alarm.sleep(left)


def signal_name(number: int) -> str:
    try:
        return signal.Signals(number).name
    except ValueError:                          # one of the real-time signals
        return f"signal {number}"
