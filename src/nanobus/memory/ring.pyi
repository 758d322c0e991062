from os import PathLike
from typing import Self, SupportsIndex

from typing_extensions import disjoint_base

from nanobus.memory.mapping import Mapping

@disjoint_base
class RingMapping(Mapping):
    def __new__(
        cls,
        capacity: SupportsIndex | None,
        control_size: SupportsIndex,
        path: str | bytes | PathLike[str] | PathLike[bytes] | None = None,
        descriptor: int | None = None,
    ) -> Self: ...
    @property
    def control_size(self) -> int: ...
    @property
    def capacity(self) -> int: ...
    @property
    def created(self) -> bool: ...
    @property
    def path(self) -> str | None: ...
    def publish(self) -> bool: ...
