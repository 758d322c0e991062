"""One table in several programs: which of its workers run in this one."""

from __future__ import annotations

from collections.abc import Sequence

from nanobus.errors import RoutingError
from nanobus.routing import Worker


def local(workers: Sequence[Worker], only: Sequence[str] | None) -> tuple[Worker, ...]:
    """Return the workers that `only` names, in the order of the table; all of them where it is None."""
    if only is None:
        return tuple(workers)
    if isinstance(only, str) or not all(isinstance(name, str) for name in only):
        raise TypeError(f"only must be a sequence of worker names, got {only!r}")
    known = [worker.name for worker in workers]
    for name in only:
        if name not in known:
            raise RoutingError(f"only names {name!r}, and the table has {', '.join(map(repr, known)) or 'no worker'}")
    if not only:
        raise ValueError("only must name somebody, or be None for everybody")
    return tuple(worker for worker in workers if worker.name in only)
