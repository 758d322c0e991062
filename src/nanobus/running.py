"""One worker while it runs: from making its handlers to sending the last thing they said."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any, Protocol

from nanobus.bus.base import Bus
from nanobus.bus.envelope import Gap
from nanobus.dispatch.outlet import Outlet
from nanobus.dispatch.worker_loop import Timer, WorkerLoop, bind
from nanobus.errors import BusFullError, HandlerError
from nanobus.handlers import Handler, period_ns
from nanobus.routing import Worker, freeze, source_id

logger = logging.getLogger("nanobus")

FLUSH_SECONDS = 0.1                     # between looks at whether somebody still reads
LAST_FLUSH_SECONDS = 5.0                # with no worker reading any more, only readers outside can make room


def text_of(error: BaseException) -> str:
    """Return the class and text of an error, also of one whose text cannot be had."""
    try:
        return f"{type(error).__qualname__}: {error}"
    except BaseException as second:
        return f"{type(error).__qualname__}, whose text raises {type(second).__qualname__}"


class Crew(Protocol):
    """What a running worker needs from those it runs with."""

    built: threading.Barrier

    def fail(self, error: HandlerError) -> None: ...
    def nobody_reads(self) -> bool: ...
    def request_stop(self, drain: bool = True) -> None: ...


class Completion:
    """An event that happens once. A lock alone, as an interrupt inside `threading.Event` can leave its lock taken."""

    def __init__(self) -> None:
        self._happened = False
        self._lock = threading.Lock()
        self._lock.acquire()

    def is_set(self) -> bool:
        return self._happened

    def set(self) -> None:
        if not self._happened:
            self._happened = True
            self._lock.release()

    def wait(self, timeout: float | None) -> bool:
        """Wait for at most `timeout` seconds; return whether it has happened."""
        if not self._happened and self._lock.acquire(timeout=-1 if timeout is None else timeout):
            self._lock.release()
        return self._happened


class RunningWorker:
    """One worker in a thread: its reader, its writer, its handlers, its loop. Made in the caller's thread, so that it
    reads from there on; everything else happens in its own.
    """

    def __init__(self, crew: Crew, worker: Worker, bus: Bus, config: Any) -> None:
        self.worker = worker
        self.thread = threading.Thread(target=self._run, name=worker.name, daemon=True)
        self.done = Completion()
        self.reads_no_more = False
        self._crew = crew
        self._config = config
        self._reader = bus.reader("newest")
        try:
            self._writer = bus.writer()
        except BaseException:
            self._reader.close()
            raise
        self._outlet = Outlet(self._writer, worker.outbox_limit, crew.request_stop)
        self._handlers: list[Handler] = []
        self._loop: WorkerLoop | None = None
        self._started: list[tuple[int, Handler]] = []
        self._lock = threading.Lock()
        self._stop_at: int | None = None
        self._runs = False
        self._abandoned = False

    def _run(self) -> None:
        with self._lock:
            self._runs = not self._abandoned
        if not self._runs:
            return
        try:
            if self._make_handlers() and self._start_handlers():
                self._loop.run()  # type: ignore[union-attr]  # made with the handlers
        except BaseException as error:
            self._crew.fail(self._describe(None, None, None, error))
        finally:
            if self._loop is None:
                self._crew.built.abort()            # whoever waits for this worker need not any more
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

    def abandon(self) -> None:
        """Never run, unless the thread runs already."""
        with self._lock:
            self._abandoned = True
            if self._runs:
                return
        self._reader.close()
        self._writer.close()
        self.reads_no_more = True
        self.done.set()

    def _make_handlers(self) -> bool:
        for index, handler_class in enumerate(self.worker.handlers):
            try:
                handler = handler_class.__new__(handler_class)
                bind(handler, source_id(handler_class), self._outlet)
                self._handlers.append(handler)
                handler.__init__(self._config)  # type: ignore[misc]  # bound first: it may send
            except BaseException as error:
                self._crew.fail(self._describe(index, None, None, error))
                return False
        loop = self._make_loop()
        with self._lock:
            self._loop = loop
            if self._stop_at is not None:
                loop.stop(self._stop_at)
        try:
            self._crew.built.wait()
        except threading.BrokenBarrierError:
            return False
        return True

    def _make_loop(self) -> WorkerLoop:
        timers = [
            Timer(getattr(handler, name), period_ns(period, self._config), index, source_id(type(handler)), number)
            for index, handler in enumerate(self._handlers)
            for number, (period, name) in enumerate(type(handler).timers)
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
            if not self._call_hook(index, handler.on_start):
                return False
        return True

    def _call_hook(self, index: int, hook: Callable[..., None], *arguments: Any) -> bool:
        """Call a hook outside of any message; whether the worker goes on."""
        try:
            try:
                hook(*arguments)
            finally:
                self._outlet.end_claim()
        except BaseException as error:
            return self._fail(index, None, None, error)
        return True

    def _finish(self) -> None:
        """Let writers pass, say goodbye, send what was held back."""
        try:
            self._reader.close()
            self.reads_no_more = True
            for index, handler in self._started:
                self._call_hook(index, handler.on_stop)
            self._flush()
            self._writer.close()
            for handler in self._handlers:
                bind(handler, source_id(type(handler)), None)
        except BaseException as error:
            self._crew.fail(self._describe(None, None, None, error))
        finally:
            self.reads_no_more = True
            self.done.set()

    def _flush(self) -> None:
        if self._loop is None or not self._outlet.held:
            return
        while not self._writer.closed and not self._crew.nobody_reads() and self._loop.flush(FLUSH_SECONDS):
            pass                                    # other workers still read, and make room
        held = self._loop.flush(LAST_FLUSH_SECONDS)
        if held:
            error = BusFullError(f"lost {held} messages: no room for them within {LAST_FLUSH_SECONDS} s of the stop")
            self._crew.fail(self._describe(None, None, None, error))

    def _on_gap(self, gap: Gap) -> None:
        logger.warning("worker %r lost messages: %r", self.worker.name, gap)
        for index, handler in enumerate(self._handlers):
            self._call_hook(index, handler.on_gap, gap)

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
        self._crew.fail(failure)
        return False

    def _describe(
        self, index: int | None, message: object, position: int | None, error: BaseException
    ) -> HandlerError:
        handler = None if index is None else self.worker.handlers[index]
        who = "" if handler is None else f"{handler.__qualname__} in "
        what = "" if message is None else f" on {type(message).__qualname__}"
        where = "" if position is None else f" at position {position}"
        failure = HandlerError(
            f"{who}worker {self.worker.name!r} failed{what}{where}: {text_of(error)}",
            worker=self.worker.name, handler=handler, message=message, position=position,
        )
        failure.__cause__ = error
        return failure
