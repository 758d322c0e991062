from collections.abc import Callable
from typing import Any, final

from nanobus.bus.base import BusReader
from nanobus.bus.codec import Codec

@final
class UpcastingCodec(Codec):
    def __init__(
        self, codec: Codec, reader: BusReader, since: int, read_old: Callable[[int, bytes], Any]
    ) -> None: ...
    @property
    def since(self) -> int: ...
