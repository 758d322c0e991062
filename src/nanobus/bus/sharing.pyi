from collections.abc import Callable
from typing import Any

from typing_extensions import disjoint_base

from nanobus.bus.base import Bus, BusReader
from nanobus.bus.handover import Place

@disjoint_base
class SharedBus(Bus):
    def carriage(self) -> tuple[Callable[..., SharedBus], tuple[Any, ...], tuple[int, ...]]: ...
    def hold(self) -> Place: ...
    def adopt(self, ticket: tuple[int, int, int]) -> BusReader: ...
    def reap(self) -> None: ...
