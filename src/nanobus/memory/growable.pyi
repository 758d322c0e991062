from typing import Self, SupportsIndex

from nanobus.memory.mapping import Mapping

class GrowingMapping(Mapping):
    def grow_to(self, size: SupportsIndex) -> None: ...

class GrowableMapping(GrowingMapping):
    def __new__(cls, size: SupportsIndex) -> Self: ...
