from typing import Self, SupportsIndex

from nanobus.memory.mapping import Mapping

class GrowableMapping(Mapping):
    def __new__(cls, size: SupportsIndex) -> Self: ...
    def grow_to(self, size: SupportsIndex) -> None: ...
