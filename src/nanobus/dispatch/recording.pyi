from typing import TypeAlias

from typing_extensions import disjoint_base

from nanobus.bus.base import Bus, BusWriter

_Sent: TypeAlias = tuple[int, bytes, int | None] | None

@disjoint_base
class Recording:
    @property
    def sends(self) -> int: ...
    @property
    def compared(self) -> int: ...
    @property
    def unfinished(self) -> int: ...
    def settle(self, limit: int) -> tuple[int, int, _Sent, _Sent] | None: ...
    def close(self) -> None: ...

def mute_writer(bus: Bus) -> BusWriter: ...
