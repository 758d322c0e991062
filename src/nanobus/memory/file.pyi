import os

from nanobus.memory.mapping import Mapping

class FileMapping(Mapping):
    path: str
    created: bool
    def __init__(self, path: str | os.PathLike[str], size: int | None = None) -> None: ...
    def grow_to(self, size: int) -> None: ...
    def sync(self) -> None: ...
