"""Messenger: a bus, workers and a config; run, stop, drain, join."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Sequence
from types import TracebackType
from typing import Any, Self

from nanobus.bus.base import Bus
from nanobus.bus.envelope import Gap
from nanobus.dispatch.outlet import Outlet
from nanobus.dispatch.worker_loop import Timer, WorkerLoop, bind
from nanobus.errors import BusFullError, HandlerError, NanobusError, StopTimeoutError
from nanobus.handlers import Handler
from nanobus.routing import Worker, check, freeze

logger = logging.getLogger("nanobus")

SIGNAL_CHECK_SECONDS = 0.1
LAST_FLUSH_SECONDS = 5.0                # with no worker reading any more, only readers outside can make room


class Messenger:
    """A bus, the workers on it, and what they are configured with.

    Parameters
    ----------
    bus : Bus
        Stays the caller's: the messenger does not close it.
    workers : sequence of Worker
    config : object
        Handed to every handler's `__init__`.

    Raises
    ------
    RoutingError
        The tables contradict each other; see `nanobus.routing.check`. Nothing was started.

    Notes
    -----
    Thread-safe. A messenger that has stopped can be run again: with new handlers, from the bus's head.
    """

    def __init__(self, bus: Bus, workers: Sequence[Worker], config: Any = None) -> None:
        if not isinstance(bus, Bus):
            raise TypeError(f"bus must be a Bus, got {bus!r}")
        for worker in workers:
            if not isinstance(worker, Worker):
                raise TypeError(f"workers must be Worker objects, got {worker!r}")
        check(workers)
        self.bus = bus
        self.workers = tuple(workers)
        self.config = config
        self._lock = threading.Lock()
        self._running: JoinHandles | None = None

    def run(self) -> JoinHandles:
        """Start every worker in a thread of its own, and return when all of them listen.

        Handlers are made, each in its worker; when all are there `on_start` runs; then messages arrive, from the head
        of the bus as it was at the call.

        Raises
        ------
        HandlerError
            A handler's `__init__` failed. Nothing goes on running.
        NanobusError
            The messenger runs already.
        """
        with self._lock:
            if self._running is not None and not self._running.finished:
                raise NanobusError("the messenger runs already")
            handles = self._running = JoinHandles(self)
        handles._begin()
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


class JoinHandles:
    """The running workers of a messenger. Leaving `with messenger.run() as handles:` stops, drains and joins.

    Thread-safe.
    """

    def __init__(self, messenger: Messenger) -> None:
        self._messenger = messenger
        self._lock = threading.Lock()
        self._built = threading.Barrier(len(messenger.workers) + 1)
        self._error: HandlerError | None = None
        self._raised = False
        self._threads: list[WorkerThread] = []
        try:
            for worker in messenger.workers:
                self._threads.append(WorkerThread(self, worker, messenger.bus, messenger.config))
        except BaseException:
            for thread in self._threads:
                thread.close()
            raise

    @property
    def finished(self) -> bool:
        """Whether every worker has stopped."""
        return all(thread.ident is not None and not thread.is_alive() for thread in self._threads)

    @property
    def error(self) -> HandlerError | None:
        """The first error that stopped the messenger, if one did."""
        return self._error

    def statistics(self) -> dict[str, dict[str, int]]:
        """Return worker name -> counters: messages handled, skipped (no receiver here), failures, held (outbox)."""
        return {thread.worker.name: thread.statistics() for thread in self._threads}

    def join(self, timeout: float | None = None) -> None:
        """Wait until every worker has stopped, then raise the first handler error if there was one.

        KeyboardInterrupt stops and drains before it is raised; a second one does not wait for the draining.

        Raises
        ------
        HandlerError
            With handler, message and position; raised once.
        StopTimeoutError
            Some worker still runs after `timeout` seconds.
        """
        try:
            self._wait(timeout)
        except KeyboardInterrupt:
            self._stop_after_interrupt()
            raise
        with self._lock:
            error, self._raised = None if self._raised else self._error, True
        if error is not None:
            raise error

    def stop(self, drain: bool = True, timeout: float | None = None) -> None:
        """Stop the workers and wait until they have; see `Messenger.stop`. Does not raise what handlers raised."""
        self.request_stop(drain)
        self._wait(timeout)

    def request_stop(self, drain: bool = True) -> None:
        """Ask the workers to stop, and return at once."""
        position = self._messenger.bus.head if drain and not self._messenger.bus.closed else 0
        for thread in self._threads:
            thread.request_stop(position)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, exception_type: type[BaseException] | None, exception: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if exception is None:
            self.request_stop()
            self.join()
        elif isinstance(exception, KeyboardInterrupt):
            self._stop_after_interrupt()
        else:
            self.stop()
            if self._error is not None and self._error is not exception:
                exception.add_note(f"meanwhile a handler had failed: {self._error}")

    def _begin(self) -> None:
        for thread in self._threads:
            thread.start()
        try:
            self._built.wait()
        except threading.BrokenBarrierError:
            self.join()
            raise
        except BaseException:
            self._built.abort()
            self._stop_after_interrupt()
            raise

    def _wait(self, timeout: float | None) -> None:
        deadline = None if timeout is None else time.monotonic() + timeout
        for thread in self._threads:
            while thread.is_alive():
                left = SIGNAL_CHECK_SECONDS if deadline is None else deadline - time.monotonic()
                if left <= 0:
                    alive = ", ".join(repr(one.worker.name) for one in self._threads if one.is_alive())
                    raise StopTimeoutError(f"still running after {timeout} s: {alive}")
                thread.join(min(left, SIGNAL_CHECK_SECONDS))

    def _stop_after_interrupt(self) -> None:
        try:
            self.stop(drain=True)
        except KeyboardInterrupt:
            self.stop(drain=False)
            raise

    def _nobody_reads(self) -> bool:
        return all(thread.reads_no_more for thread in self._threads)

    def _fail(self, error: HandlerError) -> None:
        with self._lock:
            if self._error is None:
                self._error = error
        self.request_stop(drain=False)


class WorkerThread(threading.Thread):
    """One worker, running: its reader, its handlers, its loop."""

    def __init__(self, handles: JoinHandles, worker: Worker, bus: Bus, config: Any) -> None:
        super().__init__(name=worker.name, daemon=True)
        self.worker = worker
        self._handles = handles
        self._config = config
        self._reader = bus.reader("newest")
        try:
            self._writer = bus.writer()
        except BaseException:
            self._reader.close()
            raise
        self._outlet = Outlet(self._writer, worker.outbox_limit, handles.request_stop)
        self._handlers: list[Handler] = []
        self._loop: WorkerLoop | None = None
        self._started: list[tuple[int, Handler]] = []
        self._lock = threading.Lock()
        self._stop_at: int | None = None
        self.reads_no_more = False

    def run(self) -> None:
        try:
            if self._make_handlers() and self._start_handlers():
                self._loop.run()  # type: ignore[union-attr]  made with the handlers
        except BaseException as error:
            self._handles._fail(self._describe(None, None, None, error))
        finally:
            self._finish()

    def request_stop(self, position: int) -> None:
        """Stop before the slot at `position`; of several requests the earliest counts. Safe from any thread."""
        with self._lock:
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

    def close(self) -> None:
        """Give the lines in the bus back."""
        self._reader.close()
        self._writer.close()

    def _make_handlers(self) -> bool:
        for index, handler_class in enumerate(self.worker.handlers):
            try:
                handler = handler_class.__new__(handler_class)
                bind(handler, handler_class.source_id, self._outlet)
                self._handlers.append(handler)
                handler.__init__(self._config)  # type: ignore[misc]  bound before it runs, so that it may send
            except BaseException as error:
                self._handles._fail(self._describe(index, None, None, error))
                self._handles._built.abort()
                return False
        loop = self._make_loop()
        with self._lock:
            self._loop = loop
            if self._stop_at is not None:
                loop.stop(self._stop_at)
        try:
            self._handles._built.wait()
        except threading.BrokenBarrierError:
            return False
        return True

    def _make_loop(self) -> WorkerLoop:
        timers = [
            Timer(getattr(handler, name), int(seconds * 1e9), index, handler.source_id, number)
            for index, handler in enumerate(self._handlers)
            for number, (seconds, name) in enumerate(handler.timers)
        ]
        turn_hooks = [
            (index, handler.on_loop)
            for index, handler in enumerate(self._handlers)
            if type(handler).on_loop is not Handler.on_loop
        ]
        router = freeze(self.worker, self._handlers)
        return WorkerLoop(
            self._reader, self._outlet, router, timers, turn_hooks, self.worker.idle, self._fail, self._on_gap
        )

    def _start_handlers(self) -> bool:
        for index, handler in enumerate(self._handlers):
            self._started.append((index, handler))
            try:
                handler.on_start()
            except BaseException as error:
                if not self._fail(index, None, None, error):
                    return False
        return True

    def _finish(self) -> None:
        """Let writers pass, say goodbye, send what was held back."""
        self._reader.close()
        self.reads_no_more = True
        for index, handler in self._started:
            try:
                handler.on_stop()
            except BaseException as error:
                self._fail(index, None, None, error)
        self._flush()
        self._writer.close()
        for handler in self._handlers:
            bind(handler, handler.source_id, None)

    def _flush(self) -> None:
        if self._loop is None:
            return
        while not self._handles._nobody_reads() and self._loop.flush(SIGNAL_CHECK_SECONDS):
            pass                                    # other workers still read, and make room
        held = self._loop.flush(LAST_FLUSH_SECONDS)
        if held:
            error = BusFullError(f"{held} messages found no room within {LAST_FLUSH_SECONDS} s of the stop and are lost")
            self._handles._fail(self._describe(None, None, None, error))

    def _on_gap(self, gap: Gap) -> None:
        logger.warning("worker %r lost messages: %r", self.worker.name, gap)
        for index, handler in enumerate(self._handlers):
            try:
                handler.on_gap(gap)
            except BaseException as error:
                self._fail(index, None, gap.first_lost, error)

    def _fail(self, index: int | None, message: object, position: int | None, error: BaseException) -> bool:
        """Apply the worker's policy to an error; whether the worker goes on."""
        failure = self._describe(index, message, position, error)
        policy = self.worker.on_error
        if isinstance(error, Exception) and policy == "skip":
            logger.error("%s", failure, exc_info=error)
            return True
        if isinstance(error, Exception) and callable(policy):
            try:
                if policy(failure):
                    return True
            except BaseException as second:
                failure.add_note(f"its on_error raised as well: {second!r}")
        self._handles._fail(failure)
        return False

    def _describe(
        self, index: int | None, message: object, position: int | None, error: BaseException
    ) -> HandlerError:
        handler = None if index is None else self.worker.handlers[index]
        who = "" if handler is None else f"{handler.__qualname__} in "
        what = "" if message is None else f" on {type(message).__qualname__}"
        where = "" if position is None else f" at position {position}"
        failure = HandlerError(
            f"{who}worker {self.worker.name!r} failed{what}{where}: {type(error).__qualname__}: {error}",
            worker=self.worker.name, handler=handler, message=message, position=position,
        )
        failure.__cause__ = error
        return failure
