from collections.abc import Callable
from contextlib import AbstractContextManager
from random import Random
from typing import Self, TypeVar, final

from typing_extensions import disjoint_base

from nanobus.bus.base import BusWriter
from nanobus.bus.sender import InPlaceClaim
from nanobus.dispatch.recording import Recording
from nanobus.records import Record

_R = TypeVar("_R", bound=Record)

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

@disjoint_base
class Service:
    def send(self, message: object) -> None: ...
    def claim(self, message_type: type[_R]) -> AbstractContextManager[_R]: ...
    @property
    def now(self) -> int: ...
    @property
    def random(self) -> Random: ...
    @property
    def shard(self) -> int: ...
    def stop(self) -> None: ...

@final
class OutletClaim(InPlaceClaim): ...
