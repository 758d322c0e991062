from typing_extensions import disjoint_base

from nanobus.dispatch.outlet import Outlet

@disjoint_base
class FreeLoop:
    @property
    def outlet(self) -> Outlet: ...
    @property
    def handled(self) -> int: ...
    @property
    def skipped(self) -> int: ...
