import os
from collections.abc import Callable
from datetime import datetime
from typing import Literal

from typing_extensions import disjoint_base

from nanobus.bus.base import Bus, BusReader
from nanobus.bus.codec import Codec
from nanobus.journal.reports import JournalStatistics, Recovery, Retention

COUNTS_STEPS: bool

@disjoint_base
class JournalBus(Bus):
    @property
    def path(self) -> str | None: ...
    @property
    def segment_size(self) -> int: ...
    @property
    def sync_policy(self) -> str: ...
    @property
    def recovery(self) -> Recovery: ...
    @property
    def retention(self) -> Retention | None: ...
    @property
    def tail(self) -> int: ...
    @property
    def durable(self) -> int: ...
    def __init__(
        self,
        path: str | os.PathLike[str] | None = None,
        *,
        segment_size: int | None = None,
        sync: Literal["none", "interval", "commit"] = "none",
        sync_interval: float = 0.1,
        retention: Retention | None = None,
        wait: Literal["block", "spin", "yield"] = "block",
        timestamps: bool = True,
        checksum: bool = True,
        writers: int = 64,
        readers: int = 64,
    ) -> None: ...
    def reader(
        self, start: str | int | datetime = "oldest", *, gate: bool = True, lag_limit: int | None = None
    ) -> BusReader: ...
    def sync(self) -> None: ...
    def cursors(self) -> dict[str, int]: ...
    def drop_cursor(self, name: str) -> None: ...
    def other_processes(self) -> list[int]: ...
    def statistics(self) -> JournalStatistics: ...
    def keep_house(self) -> None: ...

def keep_schemas(describe: Callable[[JournalBus, Codec], object], forget: Callable[[JournalBus], object]) -> None: ...
