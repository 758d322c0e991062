from collections.abc import Iterable
from typing import Self, final

from nanobus.bus.base import BusReader
from nanobus.dispatch.playback import Playback

@final
class Effects(Playback):
    def __new__(cls, reader: BusReader, end: int, sources: Iterable[int], first_cause: int) -> Self: ...
