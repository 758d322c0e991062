from collections.abc import Callable
from typing import Any, Self, final

from nanobus.dispatch.recording import Recording
from nanobus.dispatch.service import Service

@final
class RefusingRecording(Recording): ...

@final
class Batch:
    def __new__(
        cls,
        service: Service,
        method: Callable[..., object],
        make: Callable[[bytearray, bytearray], tuple[Any, ...]],
        size: int,
        limit: int,
    ) -> Self: ...
    def __call__(self, message: object) -> object: ...
    @property
    def size(self) -> int: ...
    @property
    def limit(self) -> int: ...
