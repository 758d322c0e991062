"""One worker while it runs: from making its handlers to sending the last thing they said."""

from __future__ import annotations

import math
import threading
import time
from typing import Any, Protocol

from nanobus.bus.base import Bus, BusReader
from nanobus.dispatch.known_sends import KnownSends
from nanobus.dispatch.outlet import Outlet
from nanobus.dispatch.worker_loop import WorkerLoop
from nanobus.errors import BusFullError, HandlerError
from nanobus.journaling import cursors_of, drop_cursor, keep_promise
from nanobus.routing import Worker, source_id
from nanobus.schema import Schema
from nanobus.sharding import check_shard_cursors, finder_of_shards
from nanobus.staff import Staff

FLUSH_SECONDS = 0.1                     # between looks at whether somebody still reads
LONGEST_SLEEP = 1.0                     # seconds until who waits for a Completion looks by itself
LAST_FLUSH_SECONDS = 5.0                # with no worker reading any more, only readers outside can make room


class Crew(Protocol):
    """What a running worker needs from those it runs with."""

    schema: Schema | None               # of the journal they run on

    def meet(self) -> bool: ...
    def call_off(self) -> None: ...
    def fail(self, error: HandlerError) -> None: ...
    def read_last(self) -> None: ...                    # a worker has read its last message
    def nobody_reads(self) -> bool: ...
    def request_stop(self, drain: bool = True) -> None: ...


class Completion:
    """An event that happens once, whichever threads say so, and that an interrupt at any moment leaves in order.

    Waiting is for a lock that is free once it has happened. An interrupt may leave the lock taken, here as inside of
    `threading.Event`; here nobody sleeps on it for longer than LONGEST_SLEEP without a look at what it stands for.
    """

    def __init__(self) -> None:
        self._happened = False
        self._lock = threading.Lock()
        self._lock.acquire()
        self._opener = threading.Lock()         # taken by the one thread that frees `_lock`

    def is_set(self) -> bool:
        return self._happened

    def set(self) -> None:
        self._happened = True
        if self._opener.acquire(blocking=False):
            self._lock.release()

    def wait(self, timeout: float | None) -> bool:
        """Wait for at most `timeout` seconds; return whether it has happened."""
        deadline = math.inf if timeout is None else time.monotonic() + timeout
        while not self._happened and (left := deadline - time.monotonic()) > 0:
            if self._lock.acquire(timeout=min(left, LONGEST_SLEEP)):
                self._lock.release()
        return self._happened


def start(thread: threading.Thread) -> None:
    """Start a thread; an interrupt meanwhile is raised as what it is."""
    try:
        thread.start()
    except RuntimeError as error:
        if isinstance(error.__context__, KeyboardInterrupt):    # it upset the locks of `threading`, which said so
            raise error.__context__ from None
        raise


def open_reader(worker: Worker, bus: Bus) -> BusReader:
    """Return the reader of a worker: from now on, or at its cursor, which is made if need be.

    Raises
    ------
    RoutingError
        The bus has cursors of another division meanwhile. Whoever comes second sees those of the first; of two at once
        each may see the other's, so that a cursor made here is dropped, lest it keep all later ones out.
    """
    if worker.cursor is None:
        return bus.reader("newest")
    known = cursors_of(bus)
    reader = bus.reader(worker.cursor)
    try:
        check_shard_cursors([worker], cursors_of(bus))      # again: from now on nobody misses this one
    except BaseException:
        reader.close()
        if worker.cursor not in known:
            drop_cursor(bus, worker.cursor)
        raise
    return reader


class RunningWorker:
    """One worker in a thread: its reader, its writer, its handlers, its loop. Made in the caller's thread, so that it
    reads from there on, or from where `reader` stands; everything else happens in its own.
    """

    def __init__(self, crew: Crew, worker: Worker, bus: Bus, config: Any, reader: BusReader | None = None) -> None:
        self.worker = worker
        self.thread: threading.Thread | None = None
        self.built = Completion()
        self.done = Completion()
        self.reads_no_more = False
        self._crew = crew
        self._loop: WorkerLoop | None = None
        self._lock = threading.RLock()          # a signal handler may ask for the stop while its thread holds it
        self._stop_at: int | None = None
        self._runs = False
        self._abandoned = False
        self._reader = open_reader(worker, bus) if reader is None else reader
        try:
            known = None if worker.cursor is None else self._known_sends(bus)
            self._writer = bus.writer()
            self._outlet = Outlet(
                self._writer, worker.outbox_limit, crew.request_stop, known, shard=worker.shard,
                sends_once=worker.cursor is not None,
            )
            self._staff = Staff(worker, config, self._outlet, crew.fail)
        except BaseException:
            self._reader.close()                # the traceback keeps this object for a while
            raise

    def start(self) -> None:
        self.thread = threading.Thread(target=self.run, name=self.worker.name, daemon=True)
        start(self.thread)

    def run(self) -> None:
        """Be the worker, in this thread, until it stops."""
        with self._lock:
            self._runs = not self._abandoned
        if not self._runs:
            return
        try:
            if self._staff.make() and self._make_loop() and self._staff.start():
                self._loop.run()  # type: ignore[union-attr]  # just made
        except BaseException as error:
            self._crew.fail(self._staff.describe(None, None, None, error))
        finally:
            if self._loop is None:
                self._crew.call_off()               # whoever waits for this worker need not any more
            self._finish()

    def request_stop(self, position: int) -> None:
        """Stop before the slot at `position`; of several requests the earliest counts. Safe from any thread.

        A worker that does not run yet never will.
        """
        with self._lock:
            if not self._runs:
                self._abandon()
                return
            self._stop_at = position if self._stop_at is None else min(position, self._stop_at)
            if self._loop is not None:
                self._loop.stop(self._stop_at)

    def statistics(self) -> dict[str, int]:
        loop = self._loop
        return {
            "handled": loop.handled if loop else 0,
            "skipped": loop.skipped if loop else 0,
            "failures": loop.failures if loop else 0,
            "held": self._outlet.held,
        }

    def _abandon(self) -> None:
        self._abandoned = True
        self._crew.call_off()
        self._reader.close()
        self._writer.close()
        self._read_last()
        self.done.set()

    def _make_loop(self) -> bool:
        """Make the loop, and wait until all have theirs; whether all do."""
        loop = self._staff.make_loop(self._reader, self._crew.schema)
        with self._lock:
            self._loop = loop
            if self._stop_at is not None:
                loop.stop(self._stop_at)
        self.built.set()
        return self._crew.meet()

    def _finish(self) -> None:
        """Let writers pass, say goodbye, send what was held back."""
        try:
            self._reader.close()
            self._read_last()
            self._staff.stop()
            self._flush()
        except BaseException as error:
            self._crew.fail(self._staff.describe(None, None, None, error))
        finally:
            self._writer.close()
            self._staff.release()
            self._read_last()
            self.done.set()

    def _read_last(self) -> None:
        self.reads_no_more = True
        self._crew.read_last()

    def _known_sends(self, bus: Bus) -> KnownSends | None:
        """What a former life of this worker has sent because of messages that it will handle again."""
        finder = None
        if self.worker.shards > 1:
            finder = finder_of_shards(self.worker, bus, self._crew.schema or Schema())
        known = KnownSends(
            bus, self._reader.position, map(source_id, self.worker.handlers),
            None if finder is None else lambda cause: finder(cause) == self.worker.shard,
        )
        if not known.left:
            return None
        keep_promise(bus)                           # for the former life's sends, which this one will not make again
        return known

    def _flush(self) -> None:
        if self._loop is None or not self._outlet.held:
            return
        while not self._writer.closed and not self._crew.nobody_reads() and self._loop.flush(FLUSH_SECONDS):
            pass                                    # other workers still read, and make room
        held = self._loop.flush(LAST_FLUSH_SECONDS)
        if held:
            error = BusFullError(f"lost {held} messages: no room for them within {LAST_FLUSH_SECONDS} s of the stop")
            self._crew.fail(self._staff.describe(None, None, None, error))
