from typing import Self, final

from typing_extensions import Buffer, disjoint_base

from nanobus.dispatch.permits import Permit
from nanobus.dispatch.service import Service

@disjoint_base
class NativeService(Service): ...

@final
class HeldBuffer:
    def __new__(cls, exporter: Buffer) -> Self: ...

@final
class NativeCall:
    def __new__(
        cls, service: Service, permit: Permit, address: int, state: Buffer | None, size: int
    ) -> Self: ...
    @property
    def size(self) -> int: ...
