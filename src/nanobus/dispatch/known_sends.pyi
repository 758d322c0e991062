from collections.abc import Callable, Iterable
from typing import Self, final

from nanobus.bus.base import Bus
from nanobus.dispatch.recording import Recording

@final
class KnownSends(Recording):
    def __new__(
        cls, bus: Bus, start: int, sources: Iterable[int], is_own: Callable[[int], bool] | None = None
    ) -> Self: ...
    @property
    def left(self) -> int: ...
