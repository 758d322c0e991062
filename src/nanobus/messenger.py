"""Messenger: a bus, workers and a config; run, stop, drain, join."""

from __future__ import annotations

import logging
import os
import threading
import time
import weakref
from collections.abc import Sequence
from copy import copy
from datetime import datetime
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from nanobus.bus.base import Bus
from nanobus.errors import BusClosedError, NanobusError, StopTimeoutError
from nanobus.handlers import Handler
from nanobus.journaling import cursors_of, describe
from nanobus.programs import local
from nanobus.replaying import Replay, ReplayResult
from nanobus.routing import Worker, check, check_cursors
from nanobus.running import Completion, RunningWorker
from nanobus.schema import Schema
from nanobus.sharding import check_shard_cursors, check_shards, shards_of

if TYPE_CHECKING:
    from nanobus.processes.supervision import WorkerProcess

logger = logging.getLogger("nanobus")
messengers: weakref.WeakSet[Messenger] = weakref.WeakSet()


class Messenger:
    """A bus, the workers on it, and what they are configured with.

    Parameters
    ----------
    bus : Bus
        Stays the caller's: the messenger does not close it.
    workers : sequence of Worker
    config : object
        Handed to every handler's `__init__`.
    only : sequence of worker names, optional
        The workers that run in this program; the others are left to programs that have the same bus open, by its path.
        None: all. The table is checked as a whole, and a journal is told of all its messages and handlers.

    Attributes
    ----------
    workers : tuple of Worker
        The whole table.
    local : tuple of Worker
        Those that run in this program.

    Raises
    ------
    RoutingError
        The tables contradict each other, see `nanobus.routing.check`; or `only` names a worker that there is not.
        Nothing was started.

    Notes
    -----
    Thread-safe. A messenger that has stopped can be run again: with new handlers, from the bus's head.

    Programs that share a table need not know of each other. None waits for another one to start; `stop`, a handler's
    `self.stop()`, `join` and the counters are about the workers here. What a program sends before another one runs is
    heard there only by workers with a cursor, which a journal keeps. A cursor is its worker's alone: while that runs in
    one program, `run` in another one raises CursorInUseError. A worker without a cursor that runs in two programs
    handles each message in both. Readers of other programs make room on a ring as those here do, but a worker that
    stops waits for them no longer than 5 s to get rid of what it holds back.
    """

    def __init__(
        self, bus: Bus, workers: Sequence[Worker], config: Any = None, *, only: Sequence[str] | None = None
    ) -> None:
        if not isinstance(bus, Bus):
            raise TypeError(f"bus must be a Bus, got {bus!r}")
        self.workers = tuple(workers)
        for worker in self.workers:
            if not isinstance(worker, Worker):
                raise TypeError(f"workers must be Worker objects, got {worker!r}")
        check(self.workers)
        check_shards(self.workers)
        check_cursors(self.workers, bus)
        self.local = local(self.workers, only)
        check_processes(self.local, bus)
        self.bus = bus
        self.config = config
        self._lock = threading.RLock()
        self._running: JoinHandles | None = None
        messengers.add(self)

    def part(self, only: Sequence[str] | None) -> Self:
        """Return a messenger of the same bus, table and config that runs the workers named here; None: all.

        Raises
        ------
        RoutingError
            The table has no worker of such a name.
        """
        part = copy(self)
        part.local = local(self.workers, only)
        check_processes(part.local, self.bus)
        part._lock = threading.RLock()
        part._running = None
        messengers.add(part)
        return part

    def run(self) -> JoinHandles:
        """Start every worker of this program in a thread or a process of its own; return when all of them listen.

        Handlers are made, each in its worker; when all are there `on_start` runs; then messages arrive, from the head
        of the bus as it was at the call.

        Raises
        ------
        HandlerError
            A handler's `__init__` failed. Nothing goes on running.
        CursorInUseError
            A worker's cursor has a reader already, here or in another program. Nothing goes on running.
        SchemaMismatchError
            A message of the table has another layout than in the journal. Nothing was started.
        RoutingError
            Something that a worker in a process of its own needs cannot be had there; or the journal has cursors of a
            worker in another number of shards. No worker was started, though handlers of others may have been made.
        WorkerDiedError
            A worker's process ended before its handlers were made, as often as it may be started again. Nothing goes on
            running.
        NanobusError
            The messenger runs already, or was stopped before every worker had been started.
        """
        handles = JoinHandles(self)
        try:
            with self._lock:
                if self._running is not None and not self._running.finished:
                    raise NanobusError("the messenger runs already")
                self._running = handles
                handles._start()
            handles._wait_for_start()
        except BaseException as error:              # an interrupt, no room for a reader, no more threads
            handles._give_up(error)
            raise
        return handles

    def stop(self, drain: bool = True, timeout: float | None = None) -> None:
        """Stop the workers and wait until they have; nothing happens if none runs. Safe from any thread.

        Parameters
        ----------
        drain : bool
            True: each worker first handles everything up to the bus's head as it is now. False: only the message at
            hand.
        timeout : float, optional
            Seconds; None waits for ever.

        Raises
        ------
        StopTimeoutError
            Some worker is still busy; it stops when it can.
        """
        running = self._running
        if running is not None:
            running.stop(drain, timeout)

    def replay(
        self,
        journal: Bus,
        mode: Literal["rebuild", "verify"] = "rebuild",
        *,
        only: Sequence[str | type[Handler]] | None = None,
        start: str | int | datetime = "oldest",
        until: int | datetime | None = None,
        speed: float | None = None,
    ) -> ReplayResult:
        """Run new handlers of this messenger's workers on what `journal` holds, in this thread. Nothing is written.

        Handlers are made and started as in `run`; then each message up to the head of `journal`, as it is at the call,
        is handed to its receivers, in the order of positions and at one position in the order of `workers`. `self.now`
        and `self.random` are those of the recorded message, ticks come from the record, `on_loop` is not called, and
        `self.stop()` has no effect. What handlers send is taken from them and goes nowhere.

        Parameters
        ----------
        journal : Bus
            Any bus that still holds what is to be replayed.
        mode : "rebuild" or "verify"
            Whether sends are only taken, or also compared with those that the record holds of the same handler for the
            same message: as many, in the same order, of the same class, the same bytes. Where the record holds an
            older layout of the class, the bytes are those of what its `@upcast` makes of it. What is sent outside of
            any message (`on_start`, `on_stop`) is not compared.
        only : sequence of worker names and Handler classes, optional
            Who takes part, in all shards of the worker, whichever program runs them; None: everybody in the table.
        start : "oldest", int, datetime or the name of a cursor
            Where to begin, as for `journal.reader`: where the recorded run began, since handlers begin anew. A cursor
            stays where it is.
        until : int or datetime, optional
            Stop before the first message at or past this position, or of this time or later (with a time zone).
        speed : float, optional
            1.0 keeps the recorded distances in time, 2.0 halves them; None goes as fast as possible.

        Raises
        ------
        DivergenceError
            `mode="verify"`: the first difference, in the order of positions. A send that the record lacks is only
            counted, in `ReplayResult.unfinished`, as long as nothing proves that the worker went on: the run may have
            ended before it came that far. Proof is what it sent for a later message, or that its named cursor stands
            behind the message; ticks are none.
        SchemaMismatchError
            A message that is received, or that is to be compared, lies in a layout that no `@upcast` reads.
        HandlerError
            A handler failed, and its worker's `on_error` does not forgive it.
        RoutingError
            `mode="verify"`: the journal has cursors of a worker in another number of shards than it has here.
        ValueError, TypeError
            An argument is no good; or `until` is a time or `speed` is given, and `journal` keeps no timestamps.
        CorruptMessageError, NanobusError
            A message of the record cannot be read: its checksum does not fit, or it was overwritten meanwhile.

        Notes
        -----
        Independent of `run`, also while it runs. Holds two readers of `journal`, in rebuild one. A signal, such as
        Ctrl-C, ends it with its exception, after `on_stop` of the handlers.
        """
        return Replay(self.workers, self.config, journal, mode, only, start, until, speed).run()


class JoinHandles:
    """The workers of a messenger that run in this program. Leaving `with messenger.run() as handles:` stops, drains and
    joins.

    Thread-safe.
    """

    def __init__(self, messenger: Messenger) -> None:
        self._messenger = messenger
        self._lock = threading.RLock()              # a signal handler may ask for the stop while its thread holds it
        self._go = Completion()                     # every worker is built, or none will start
        self._called_off = False
        self.schema: Schema | None = None           # of the journal they run on
        self._error: NanobusError | None = None
        self._raised = False
        self._workers: list[RunningWorker | WorkerProcess] = []

    @property
    def finished(self) -> bool:
        """Whether every worker has stopped."""
        return self._go.is_set() and all(running.done.is_set() for running in self._workers)

    @property
    def error(self) -> NanobusError | None:
        """The first error that stopped the messenger, if one did: a HandlerError or WorkerDiedError, most often."""
        return self._error

    def statistics(self) -> dict[str, dict[str, int]]:
        """Return worker name -> counters: messages handled, skipped (no receiver here), failures, held (outbox).

        A shard has an entry of its own, "name/0" and so on, and skips the messages of the others. A worker in a process
        is asked, for at most a second, and has `restarts` as well. Its counters are those of all its processes
        together, as far as they were known when one of them died.
        """
        return {one.worker.name: one.statistics() for one in self._workers}

    def join(self, timeout: float | None = None) -> None:
        """Wait until every worker has stopped, then raise the first error of a handler or a process if there was one.

        KeyboardInterrupt stops and drains before it is raised; a second one does not wait for the draining, and kills
        the processes that do not end within a second.

        Raises
        ------
        HandlerError
            With handler, message and position; raised once. Also where the bus was closed while they ran.
        WorkerDiedError
            With name, exit code or signal, and position; raised once.
        StopTimeoutError
            Some worker still runs after `timeout` seconds.
        """
        try:
            self._wait(timeout)
        except KeyboardInterrupt as interrupt:
            self._stop_after(interrupt)
            raise
        self._raise_error()

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until every worker has stopped, for at most `timeout` seconds; return whether they have."""
        try:
            self._wait(timeout)
        except StopTimeoutError:
            return False
        return True

    def stop(self, drain: bool = True, timeout: float | None = None) -> None:
        """Stop the workers and wait until they have; see `Messenger.stop`. Does not raise what handlers raised."""
        self.request_stop(drain)
        self._wait(timeout)

    def request_stop(self, drain: bool = True) -> None:
        """Ask the workers to stop, and return at once."""
        try:
            position = self._messenger.bus.head if drain else 0
        except BusClosedError:
            position = 0
        for running in self._workers:
            running.request_stop(position)

    def force(self) -> None:
        """Ask the workers to stop with the message at hand, and return at once; a process that has not ended after a
        second is killed. Safe from any thread and signal handler."""
        self.request_stop(drain=False)
        for running in self._workers:
            if not isinstance(running, RunningWorker):
                running.force()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self,
        exception_type: type[BaseException] | None,
        exception: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        if exception is not None:
            self._stop_after(exception)
            return
        try:
            self.request_stop()
            self._wait(None)
        except KeyboardInterrupt as interrupt:
            self._stop_after(interrupt)
            raise
        self._raise_error()

    def _start(self) -> None:
        if any(worker.cursor is not None for worker in self._messenger.local):
            check_shard_cursors(self._messenger.local, cursors_of(self._messenger.bus))
        self.schema = describe(self._messenger.bus, self._messenger.workers)
        for worker in shards_of(self._messenger.local):
            self._workers.append(running_kind(worker)(self, worker, self._messenger.bus, self._messenger.config))
        for running in self._workers:
            running.start()
        self._go_if_all_are_built()                 # nobody else says so where there are no workers

    def _wait_for_start(self) -> None:
        self._go.wait(None)
        if self._called_off:
            self.join()
            raise NanobusError("the messenger was stopped while it started")

    def _give_up(self, error: BaseException) -> None:
        self.call_off()
        self.request_stop(drain=False)
        self._stop_after(error)

    def _go_if_all_are_built(self) -> None:
        if all(running.built.is_set() for running in self._workers):
            self._go.set()

    def meet(self) -> bool:
        """Wait until every worker is built; return whether they start."""
        self._go_if_all_are_built()
        self._go.wait(None)
        return not self._called_off

    def starts(self) -> bool | None:
        """Whether the workers start; None while not every one is built."""
        self._go_if_all_are_built()
        return not self._called_off if self._go.is_set() else None

    def call_off(self) -> None:
        """Start no worker, unless all have been started."""
        self._called_off = self._called_off or not self._go.is_set()
        self._go.set()

    def _wait(self, timeout: float | None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        if any(running.thread is threading.current_thread() for running in self._workers):
            raise NanobusError("a handler cannot wait for its own worker: it asks for the stop with self.stop()")
        for running in self._workers:
            left = None if deadline is None else max(deadline - time.monotonic(), 0)
            if not running.done.wait(left):
                busy = ", ".join(repr(one.worker.name) for one in self._workers if not one.done.is_set())
                raise StopTimeoutError(f"still running after {timeout} s: {busy}")

    def _stop_after(self, exception: BaseException) -> None:
        """Stop and drain because of `exception`, which is told what else failed; an interrupt ends the draining."""
        try:
            self.stop(drain=True)
        except KeyboardInterrupt:
            self.force()
            self._wait(None)
            raise
        finally:
            if self._error is not None and self._error is not exception:
                exception.add_note(f"meanwhile something else had failed: {self._error}")

    def _raise_error(self) -> None:
        with self._lock:
            error, self._raised = None if self._raised else self._error, True
        if error is not None:
            raise error

    def _forget(self) -> None:
        self._lock = threading.RLock()
        self._workers = []
        self._error = None
        self._go.set()

    def read_last(self) -> None:
        """Hear that a worker has read its last message. Who needs to know asks `nobody_reads`."""

    def nobody_reads(self) -> bool:
        """Whether every worker has read its last message."""
        return all(running.reads_no_more for running in self._workers)

    def fail(self, error: NanobusError) -> None:
        """Keep the first error, log the others, and stop everything."""
        if not self.keep(error):
            logger.error("%s", error, exc_info=error.__cause__)

    def keep(self, error: NanobusError) -> bool:
        """Keep the first error, and stop everything; return whether this is the one, else it is to be logged."""
        with self._lock:
            first = self._error is None
            if self._error is None:
                self._error = error
            else:
                self._error.add_note(f"then: {error}")
        self.request_stop(drain=False)
        return first


def forget_workers() -> None:
    """In a forked child: the workers and their threads are the parent's. Here nothing runs, and nobody waits for it."""
    for messenger in list(messengers):
        messenger._lock = threading.RLock()         # a thread that is not here may hold the old one
        if messenger._running is not None:
            messenger._running._forget()


os.register_at_fork(after_in_child=forget_workers)


# What processes need takes as long to import as the rest, and is imported where a worker has one.


def check_processes(workers: Sequence[Worker], bus: Bus) -> None:
    """Raise RoutingError for a worker in a process of its own whose bus cannot be had there."""
    if any(worker.process for worker in workers):
        from nanobus.processes.placement import check_placement

        check_placement(workers, bus)


def running_kind(worker: Worker) -> type[RunningWorker | WorkerProcess]:
    if not worker.process:
        return RunningWorker
    from nanobus.processes.supervision import WorkerProcess

    return WorkerProcess
