import re
from typing import Self, final

SEGMENT_NAME: re.Pattern[str]
LEFTOVER_NAME: re.Pattern[str]

@final
class SegmentStore:
    path: str | None
    def __new__(cls, path: object) -> Self: ...
    def leftovers(self) -> list[str]: ...
    def discard(self, name: str) -> None: ...

def open_folder(path: str) -> int: ...
