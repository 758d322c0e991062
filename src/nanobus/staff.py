"""The handlers of one worker, from being made to being let go, and what becomes of their errors."""

from __future__ import annotations

import functools
import logging
from collections.abc import Callable
from typing import Any

from nanobus.bus.base import BusReader
from nanobus.bus.envelope import Gap
from nanobus.dispatch.outlet import Outlet
from nanobus.dispatch.service import bind
from nanobus.dispatch.timer import Timer
from nanobus.dispatch.worker_loop import WorkerLoop
from nanobus.errors import HandlerError
from nanobus.handlers import Handler, period_ns
from nanobus.routing import Worker, freeze, source_id
from nanobus.schema import Schema
from nanobus.sharding import division_of

logger = logging.getLogger("nanobus")


def text_of(error: BaseException) -> str:
    """Return the class and text of an error, also of one whose text cannot be had."""
    try:
        return f"{type(error).__qualname__}: {error}"
    except BaseException as second:
        return f"{type(error).__qualname__}, whose text raises {type(second).__qualname__}"


class Staff:
    """The handlers of one worker.

    Parameters
    ----------
    worker : Worker
    config : object
    outlet : Outlet
        What they send through.
    give_up : callable
        Told each HandlerError that the worker's policy does not forgive.

    Notes
    -----
    Every method is for the worker's thread. Those that return a bool say whether the worker goes on.
    """

    def __init__(
        self, worker: Worker, config: Any, outlet: Outlet, give_up: Callable[[HandlerError], object]
    ) -> None:
        self.worker = worker
        self.handlers: list[Handler] = []
        self._config = config
        self._outlet = outlet
        self._give_up = give_up
        self._started: list[tuple[int, Handler]] = []

    def make(self) -> bool:
        """Make every handler; an error here is never forgiven."""
        for index, handler_class in enumerate(self.worker.handlers):
            try:
                handler = handler_class.__new__(handler_class)
                bind(handler, source_id(handler_class), self._outlet)
                self.handlers.append(handler)
                handler.__init__(self._config)  # type: ignore[misc]  # bound first: it may send
            except BaseException as error:
                self._give_up(self.describe(index, None, None, error))
                return False
        return True

    def make_loop(self, reader: BusReader, schema: Schema | None = None) -> WorkerLoop:
        division = division_of(self.worker)
        shard = None if division is None else self.worker.shard
        timers = [
            Timer(
                getattr(handler, name), period_ns(period, self._config), index, source_id(type(handler)), number, shard
            )
            for index, handler in enumerate(self.handlers)
            for number, (period, name) in enumerate(type(handler).timers)
        ]
        turn_hooks = [
            (index, handler.on_loop)
            for index, handler in enumerate(self.handlers)
            if type(handler).on_loop is not Handler.on_loop
        ]
        router = freeze(self.worker, self.handlers, schema, reader)
        return WorkerLoop(
            reader, self._outlet, router, timers, turn_hooks, self.worker.idle, self.fail, self._tell_of_gap,
            division,
        )

    def start(self) -> bool:
        """Call `on_start` of every handler."""
        for index, handler in enumerate(self.handlers):
            self._started.append((index, handler))
            if not self._call_hook(index, handler.on_start):
                return False
        return True

    def stop(self) -> None:
        """Call `on_stop` of every handler that was started."""
        for index, handler in self._started:
            self._call_hook(index, handler.on_stop)

    def release(self) -> None:
        """Let no handler send any more."""
        for handler in self.handlers:
            bind(handler, source_id(type(handler)), None)

    def fail(self, index: int | None, message: object, position: int | None, error: BaseException) -> bool:
        """Apply the worker's policy to an error."""
        failure = self.describe(index, message, position, error)
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
        self._give_up(failure)
        return False

    def describe(
        self, index: int | None, message: object, position: int | None, error: BaseException
    ) -> HandlerError:
        """Return the HandlerError that says whose `error` it is, and on what."""
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

    def _call_hook(self, index: int, hook: Callable[..., None], *arguments: Any) -> bool:
        """Call a hook outside of any message; a claim it leaves open ends first, and is an error besides its own."""
        errors = []
        for step in (functools.partial(hook, *arguments), self._outlet.end_claim):
            try:
                step()
            except BaseException as error:
                errors.append(error)
        verdicts = [self.fail(index, None, None, error) for error in errors]
        return all(verdicts)

    def _tell_of_gap(self, gap: Gap) -> None:
        logger.warning("worker %r lost messages: %r", self.worker.name, gap)
        for index, handler in enumerate(self.handlers):
            self._call_hook(index, handler.on_gap, gap)
