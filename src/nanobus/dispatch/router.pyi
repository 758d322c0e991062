from collections.abc import Callable, Container
from typing import Any, Self, final

from nanobus.bus.codec import Codec
from nanobus.dispatch.batches import Batch
from nanobus.dispatch.native import NativeCall

@final
class Router:
    def __new__(
        cls,
        routes: dict[tuple[int, int], list[tuple[int, Callable[[Any], object] | NativeCall | Batch]]],
        codecs: dict[int, Codec],
        asked: Container[int] = (),
        translated: dict[int, int] | None = None,
    ) -> Self: ...
    @property
    def kept(self) -> tuple[tuple[Codec, ...], tuple[tuple[object, object], ...]]: ...
    def receivers(self, source: int, message: int) -> int: ...
