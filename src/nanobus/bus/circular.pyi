from os import PathLike
from typing import Literal

from typing_extensions import disjoint_base

from nanobus.bus.sharing import SharedBus
from nanobus.bus.statistics import BusStatistics

@disjoint_base
class CircularBus(SharedBus):
    def __init__(
        self,
        capacity: int | None = None,
        path: str | PathLike[str] | None = None,
        *,
        overflow: Literal["block", "error", "overwrite"] = "block",
        wait: Literal["block", "spin", "yield"] = "block",
        timestamps: bool = False,
        checksum: bool = False,
        writers: int = 64,
        readers: int = 64,
    ) -> None: ...
    @property
    def capacity(self) -> int: ...
    @property
    def path(self) -> str | None: ...
    def statistics(self) -> BusStatistics: ...

def inherit_ring(descriptor: int, path: str | None) -> CircularBus: ...
