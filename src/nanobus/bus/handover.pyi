from typing import final

from typing_extensions import disjoint_base

@final
@disjoint_base
class Place:
    @property
    def ticket(self) -> tuple[int, int, int]: ...
    def reclaim(self) -> int | None: ...
    def let_go(self) -> None: ...
