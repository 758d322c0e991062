from collections.abc import Iterable
from typing import Self, final

from nanobus.bus.base import Bus
from nanobus.dispatch.recording import Recording

@final
class KnownSends(Recording):
    def __new__(cls, bus: Bus, start: int, sources: Iterable[int]) -> Self: ...
    @property
    def left(self) -> int: ...
