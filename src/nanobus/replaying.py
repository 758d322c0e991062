"""Replay: the handlers of a messenger, run again on what a bus holds. Told in `Messenger.replay`."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import closing
from copy import copy
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from nanobus.bus.base import Bus, BusReader
from nanobus.bus.times import timestamp_of
from nanobus.dispatch.comparison import Comparison
from nanobus.dispatch.outlet import Outlet
from nanobus.dispatch.recording import Recording, mute_writer
from nanobus.dispatch.replay_loop import ReplayLoop
from nanobus.divergence import CodecsAtHand, Difference, divergence_error
from nanobus.errors import HandlerError
from nanobus.handlers import Handler
from nanobus.journaling import cursors_of, schema_of
from nanobus.routing import Worker, source_id
from nanobus.schema import Schema
from nanobus.sharding import check_shard_cursors, finder_of_shards, shards_of
from nanobus.staff import Staff

logger = logging.getLogger("nanobus")

LONGEST_SLEEP = 3600.0                  # seconds; what is left is slept after it


@dataclass(frozen=True)
class ReplayResult:
    """What a replay has done.

    Attributes
    ----------
    messages : int
        Messages read, handled by anybody or not.
    handled : int
        Messages that had a receiver, ticks included, counted once a worker.
    failures : int
        Calls that raised, and were forgiven by `on_error`.
    sends : int
        Messages that handlers sent; none was written.
    compared : int
        Those of them that are as recorded; 0 where nothing is compared.
    unfinished : int
        Those that the record lacks and that nobody can prove wrong; see `Messenger.replay`.
    first, last : int or None
        Positions of the first and of the last message read.
    seconds : float
        Duration, with the making and stopping of handlers.
    handlers : mapping of Handler class -> Handler
        The instances, as the last message left them. They cannot send any more. Of a worker in shards: a tuple with one
        of each shard.
    """

    messages: int
    handled: int
    failures: int
    sends: int
    compared: int
    unfinished: int
    first: int | None
    last: int | None
    seconds: float
    handlers: Mapping[type[Handler], Any]


class Replay:
    """One replay: its arguments, checked, and how it runs. The parameters are those of `Messenger.replay`."""

    def __init__(
        self,
        workers: Sequence[Worker],
        config: Any,
        journal: Bus,
        mode: Literal["rebuild", "verify"],
        only: Sequence[str | type[Handler]] | None,
        start: str | int | datetime,
        until: int | datetime | None,
        speed: float | None,
    ) -> None:
        if not isinstance(journal, Bus):
            raise TypeError(f"journal must be a Bus, got {journal!r}")
        if mode not in ("rebuild", "verify"):
            raise ValueError(f'mode must be "rebuild" or "verify", got {mode!r}')
        self._all_workers = workers
        self._workers = workers if only is None else chosen(workers, only)
        self._config = config
        self._journal = journal
        self._verifies = mode == "verify"
        self._start = start
        self._until, self._until_time = checked_until(until)
        self._pace = None if speed is None else Pace(speed)
        self._error: HandlerError | None = None

    def run(self) -> ReplayResult:
        """Replay once."""
        began = time.perf_counter()
        cursors = cursors_of(self._journal)             # before the head: what they prove handled is answered then
        start = self._start
        if isinstance(start, str) and start not in ("oldest", "newest") and self._journal.keeps_cursors:
            start = position_of(start, cursors)         # a reader of that name would take the cursor along
        with self._journal.reader(start) as reader:
            head = self._journal.head
            end = head if self._until is None else min(head, self._until)
            self._schema = schema_of(self._journal) or Schema()
            self._codecs = CodecsAtHand(self._all_workers, self._schema)
            with closing(self._make_recording(reader.position, head, cursors)) as recording:
                return self._replay(reader, end, recording, began)

    def _make_recording(self, start: int, head: int, cursors: Mapping[str, int]) -> Recording:
        if not self._verifies:
            return Recording()
        check_shard_cursors(self._all_workers, cursors)
        return Comparison(
            self._journal, start, head, [self._record_of(worker, cursors) for worker in self._all_workers],
            [source_id(handler) for worker in self._workers for handler in worker.handlers],
            self._codecs.translations(start),
        )

    def _record_of(
        self, worker: Worker, cursors: Mapping[str, int]
    ) -> tuple[list[int], Callable[[int], int] | None, list[int | None]]:
        """Return what a Comparison needs to know of a worker."""
        find = None if worker.shards == 1 else finder_of_shards(worker, self._journal, self._schema)
        places = [None if one.cursor is None else cursors.get(one.cursor) for one in shards_of([worker])]
        return [source_id(handler) for handler in worker.handlers], find, places

    def _replay(self, reader: BusReader, end: int, recording: Recording, began: float) -> ReplayResult:
        writer = mute_writer(self._journal)
        staffs = [
            Staff(
                one, self._config,
                Outlet(
                    writer, one.outbox_limit, do_nothing, recording, live=False, shard=one.shard,
                    sends_once=self._verifies,
                ),
                self._give_up,
            )
            for one in shards_of(self._workers)
        ]
        try:
            made = all(staff.make() for staff in staffs)
            loops = [staff.make_loop(reader, self._schema) for staff in staffs] if made else []
            with closing(ReplayLoop(reader, end, self._until_time, loops, recording, self._pace)) as loop:
                difference = self._play(loop, staffs, recording) if made else None
        except BaseException as error:
            self._dismiss(staffs, error)
            raise
        failure = self._failure(difference)
        self._dismiss(staffs, failure)
        failure = failure or self._error                # of an `on_stop`
        if failure is not None:
            raise failure
        return ReplayResult(
            messages=loop.messages,
            handled=sum(one.handled for one in loops),
            failures=sum(one.failures for one in loops),
            sends=recording.sends,
            compared=recording.compared,
            unfinished=recording.unfinished,
            first=loop.first_position,
            last=loop.last_position,
            seconds=time.perf_counter() - began,
            handlers=instances(staffs),
        )

    def _play(self, loop: ReplayLoop, staffs: Sequence[Staff], recording: Recording) -> Difference | None:
        """Start the handlers and hand them the record; return the first difference."""
        if not all(staff.start() for staff in staffs):
            return None
        reached = loop.run()
        return None if self._interrupted() else recording.settle(reached)

    def _failure(self, difference: Difference | None) -> BaseException | None:
        """Return what there is to raise: an interrupt, a difference, which comes first as it is told, or an error."""
        if self._error is not None and self._interrupted():
            return self._error.__cause__
        if difference is not None:
            return divergence_error(difference, self._all_workers, self._codecs, self._journal)
        return self._error

    def _interrupted(self) -> bool:
        return self._error is not None and isinstance(self._error.__cause__, KeyboardInterrupt)

    def _dismiss(self, staffs: Sequence[Staff], failure: BaseException | None) -> None:
        """Stop the handlers; tell `failure` what else failed, before or in doing so."""
        for staff in staffs:
            staff.stop()
            staff.release()
        if failure is not None and self._error is not None and failure not in (self._error, self._error.__cause__):
            failure.add_note(f"meanwhile a handler had failed: {self._error}")

    def _give_up(self, error: HandlerError) -> None:
        """Keep the first error, and log the others."""
        if self._error is None:
            self._error = error
        else:
            self._error.add_note(f"then: {error}")
            logger.error("%s", error, exc_info=error.__cause__)


class Pace:
    """Sleeps until a recorded message is due.

    Parameters
    ----------
    speed : float
        Recorded seconds a second.
    """

    def __init__(self, speed: float) -> None:
        if isinstance(speed, bool) or not isinstance(speed, (int, float)):
            raise TypeError(f"speed must be a number or None, got {speed!r}")
        if not 0 < speed < math.inf:
            raise ValueError(f"speed must be > 0, got {speed!r}")
        self._speed = speed
        self._first: int | None = None
        self._began = 0.0

    def __call__(self, timestamp: int) -> None:
        """Sleep until `timestamp` (unix ns) is as far from the first one as the speed says. Signals interrupt."""
        if self._first is None:
            self._first, self._began = timestamp, time.monotonic()
        due = self._began + (timestamp - self._first) / 1e9 / self._speed
        while (left := due - time.monotonic()) > 0:
            time.sleep(min(left, LONGEST_SLEEP))


def instances(staffs: Sequence[Staff]) -> dict[type[Handler], Any]:
    """Return class -> handler, or the handlers of all shards."""
    found: dict[type[Handler], Any] = {}
    for staff in staffs:
        for handler in staff.handlers:
            cls = type(handler)
            found[cls] = handler if staff.worker.shards == 1 else (*found.get(cls, ()), handler)
    return found


def do_nothing() -> None:
    """What a replayed handler's wish to stop comes to: the record says when the run stopped."""


def chosen(workers: Sequence[Worker], only: Sequence[str | type[Handler]]) -> list[Worker]:
    """Return the workers with those handlers that `only` names, by themselves or by their worker."""
    if isinstance(only, (str, type)):
        raise TypeError(f"only must be a sequence of worker names and Handler classes, got {only!r}")
    wanted = list(only)
    if not wanted:
        raise ValueError("only must name somebody, or be None for everybody")
    known = {one for worker in workers for one in (worker.name, *worker.handlers)}
    for one in wanted:
        if not isinstance(one, (str, type)) or one not in known:
            raise ValueError(f"only must name workers or handlers of this messenger, got {one!r}")
    parts = [reduced(worker, [one for one in worker.handlers if worker.name in wanted or one in wanted])
             for worker in workers]
    return [part for part in parts if part.handlers or part.name in wanted]


def reduced(worker: Worker, handlers: Sequence[type[Handler]]) -> Worker:
    """Return a copy of `worker` with these of its handlers alone."""
    part = copy(worker)
    part.handlers = tuple(handlers)
    kept = {
        route: tuple(one for one in receivers if one in handlers) for route, receivers in worker.routes.items()
    }
    part.routes = {route: receivers for route, receivers in kept.items() if receivers}
    return part


def position_of(cursor: str, cursors: Mapping[str, int]) -> int:
    """Return where a named cursor of a journal stands."""
    if cursor not in cursors:
        known = ", ".join(map(repr, cursors)) or "none"
        raise ValueError(
            f'start must be "oldest", a position, a time or the name of a cursor that the journal has ({known}), '
            f"got {cursor!r}"
        )
    return cursors[cursor]


def checked_until(until: int | datetime | None) -> tuple[int | None, int | None]:
    """Return `until` as a position and as unix ns, of which at most one is not None."""
    if isinstance(until, datetime):
        if until.tzinfo is None:
            raise ValueError(f"until must be a time with a time zone, got {until!r}")
        return None, timestamp_of(until)
    if until is not None and (isinstance(until, bool) or not isinstance(until, int)):
        raise TypeError(f"until must be a position, a datetime or None, got {until!r}")
    if until is not None and until < 0:
        raise ValueError(f"until must be a position >= 0, got {until!r}")
    return until, None
