from collections.abc import Callable
from typing import Self, final

from nanobus.bus.base import BusWriter
from nanobus.bus.sender import InPlaceClaim
from nanobus.dispatch.recording import Recording

@final
class Outlet:
    def __new__(
        cls,
        writer: BusWriter,
        outbox_limit: int,
        request_stop: Callable[[], object],
        recording: Recording | None = None,
        live: bool = True,
        shard: int = 0,
        sends_once: bool = False,
    ) -> Self: ...
    @property
    def held(self) -> int: ...
    def end_claim(self) -> None: ...

@final
class OutletClaim(InPlaceClaim): ...
