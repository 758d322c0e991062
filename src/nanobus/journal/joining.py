"""A journal that a parent process has open, opened again in its child."""

from __future__ import annotations

import os
from typing import Any

from nanobus.errors import BusFormatError, NanobusError
from nanobus.journal.journal import JournalBus
from nanobus.journal.reports import Retention


def carriage_of(journal: JournalBus) -> tuple[Any, ...]:
    """What `SharedBus.carriage` returns."""
    if type(journal) is not JournalBus:
        raise NanobusError(f"a {type(journal).__qualname__} cannot be had in another process, a JournalBus on disk can")
    if journal.path is None:
        raise NanobusError("a JournalBus in memory (path=None) cannot be had in another process, one on disk can")
    return join, (journal.path, journal.key, journal.sync_policy, journal.sync_interval, journal.retention), ()


def join(path: str, key: int, sync: Any, sync_interval: float, retention: Retention | None) -> JournalBus:
    """Open the journal of this `key`, which some other process has open, and no other one."""
    if os.path.isdir(path):                                 # else it would be made
        journal = JournalBus(path, sync=sync, sync_interval=sync_interval, retention=retention)
        if journal.key == key:
            return journal
        journal.close()
    raise BusFormatError(f"{path!r} is not the journal any more that it was")
