from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Self, final

from nanobus.bus.base import Bus
from nanobus.dispatch.recording import Recording

@final
class Effect: ...

@final
class Comparison(Recording):
    def __new__(
        cls,
        bus: Bus,
        start: int,
        end: int,
        workers: Iterable[tuple[Iterable[int], Callable[[int], int] | None, Sequence[int | None]]],
        replayed: Iterable[int],
        translations: Mapping[int, Callable[[int, bytes], bytes | None]],
    ) -> Self: ...
