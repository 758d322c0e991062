"""What travels to a worker's process: the worker and the config as pickles, which name classes; the bus as a place."""

from __future__ import annotations

import logging
import os
import pickle
import sys
from collections.abc import Iterator, Sequence
from multiprocessing import process
from typing import Any

from nanobus.bus.base import Bus
from nanobus.bus.sharing import SharedBus
from nanobus.errors import NanobusError, RoutingError
from nanobus.processes.words import Assignment
from nanobus.routing import Worker


def check_placement(workers: Sequence[Worker], bus: Bus) -> None:
    """Raise RoutingError for a worker in a process of its own whose bus cannot be had there."""
    for worker in workers:
        if worker.process:
            try:
                shared(bus).carriage()
            except NanobusError as error:
                raise RoutingError(f"worker {worker.name!r} cannot have a process of its own: {error}") from error


def shared(bus: Bus) -> SharedBus:
    if not isinstance(bus, SharedBus):
        raise NanobusError(f"a {type(bus).__qualname__} cannot be had in another process, a CircularBus can")
    return bus


def assignment_of(worker: Worker, bus: SharedBus, config: Any) -> Assignment:
    """Return what a child is told, but for its place on the bus. A forked child has the worker and the config already.

    Raises
    ------
    RoutingError
        Something cannot travel; the text names the worker, the part and the reason.
    """
    function, arguments, descriptors = bus.carriage()
    forked = worker.process == "fork"
    return Assignment(
        name=worker.name,
        parent=os.getpid(),
        main={} if forked else main_module(worker),
        work=b"" if forked else packed(worker, config),
        names=() if forked else tuple((what, pickled(worker, what, part)) for what, part in names_of(worker)),
        bus=pickle.dumps((function, arguments), pickle.HIGHEST_PROTOCOL),
        descriptors=() if forked else descriptors,
        ticket=None,
        log_levels=log_levels(),
    )


def names_of(worker: Worker) -> Iterator[tuple[str, Any]]:
    """What travels as a name, or nearly so."""
    yield "its on_error", worker.on_error
    for handler in worker.handlers:
        yield f"its handler {handler.__qualname__}", handler
    for source, message in worker.routes:
        yield f"its message {message.__qualname__}", message
        if isinstance(source, type):
            yield f"its source {source.__qualname__}", source


def packed(worker: Worker, config: Any) -> bytes:
    """Return one pickle, so that what both of them refer to is one object in the child as well."""
    try:
        return pickle.dumps((worker, config), pickle.HIGHEST_PROTOCOL)
    except Exception:
        for what, part in [("its config", config), *names_of(worker)]:      # which of them is it?
            pickled(worker, what, part)
        return pickled(worker, "the worker", (worker, config))


def pickled(worker: Worker, what: str, part: object) -> bytes:
    try:
        return pickle.dumps(part, pickle.HIGHEST_PROTOCOL)
    except Exception as error:
        raise RoutingError(
            f"worker {worker.name!r} cannot have a process of its own, {what} does not travel: "
            f"{type(error).__name__}: {error}"
        ) from error


def opened(assignment: Assignment) -> tuple[Worker, Any]:
    """Return the worker and its config, in the child."""
    try:
        worker, config = pickle.loads(assignment.work)
    except Exception as error:
        what, culprit = find_culprit(assignment) or ("its config", error)
        raise RoutingError(
            f"worker {assignment.name!r} cannot have a process of its own, {what} cannot be had there: "
            f"{type(culprit).__name__}: {culprit}"
        ) from culprit
    return worker, config


def find_culprit(assignment: Assignment) -> tuple[str, Exception] | None:
    for what, name in assignment.names:
        try:
            pickle.loads(name)
        except Exception as error:
            return what, error
    return None


def main_module(worker: Worker) -> dict[str, Any]:
    """What `multiprocessing.spawn.prepare` makes the parent's `__main__` of.

    Not `get_preparation_data`: that one settles for good by which method the whole program starts its processes.
    """
    if getattr(process.current_process(), "_inheriting", False):
        raise NanobusError(
            "a worker's process imports the main module, and that one runs a messenger: it must do so only where "
            '`if __name__ == "__main__":` holds'
        )
    origin = process.ORIGINAL_DIR  # type: ignore[attr-defined]
    found: dict[str, Any] = {
        "name": worker.name,
        "orig_dir": origin,
        "sys_argv": sys.argv,
        # An import passes over what is not a str, and such a thing need not mean anything in the child.
        "sys_path": [origin if one == "" and origin is not None else one for one in sys.path if isinstance(one, str)],
    }
    main = sys.modules["__main__"]
    name = getattr(main.__spec__, "name", None)
    path = getattr(main, "__file__", None)
    if name is not None:
        found["init_main_from_name"] = name
    elif path is not None:
        found["init_main_from_path"] = os.path.normpath(os.path.join(origin or "", path))
    return found


def log_levels() -> dict[str, int]:
    """The levels of every logger that has one of its own."""
    every = logging.root.manager.loggerDict.copy()      # other threads add to it
    loggers = {name: one for name, one in every.items() if isinstance(one, logging.Logger)}
    return {"": logging.root.level} | {name: one.level for name, one in loggers.items() if one.level}
