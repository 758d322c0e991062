from collections.abc import Callable
from typing import Self, final

@final
class Timer:
    def __new__(
        cls,
        method: Callable[[], object],
        period: int,
        handler: int,
        source: int,
        index: int,
        shard: int | None = None,
    ) -> Self: ...
