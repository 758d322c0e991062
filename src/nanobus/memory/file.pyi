import os
from typing import Self, SupportsIndex, final

from nanobus.memory.growable import GrowingMapping

FILLS_HOLES: bool

@final
class FileMapping(GrowingMapping):
    @property
    def path(self) -> str: ...
    @property
    def created(self) -> bool: ...
    def __new__(cls, path: str | os.PathLike[str], size: SupportsIndex | None = None) -> Self: ...
    def sync(self) -> None: ...
