from collections.abc import Callable, Iterable
from typing import Self, final

from nanobus.bus.base import BusReader
from nanobus.bus.envelope import Gap
from nanobus.dispatch.division import Division
from nanobus.dispatch.free_loop import FreeLoop
from nanobus.dispatch.outlet import Outlet
from nanobus.dispatch.router import Router
from nanobus.dispatch.timer import Timer

@final
class WorkerLoop(FreeLoop):
    def __new__(
        cls,
        reader: BusReader,
        outlet: Outlet,
        router: Router,
        timers: Iterable[Timer],
        turn_hooks: Iterable[tuple[int, Callable[[], object]]],
        idle: float,
        on_failure: Callable[[int | None, object, int | None, BaseException], bool],
        on_gap: Callable[[Gap], object],
        division: Division | None = None,
    ) -> Self: ...
    @property
    def failures(self) -> int: ...
    def run(self) -> None: ...
    def stop(self, position: int) -> None: ...
    def flush(self, timeout: float) -> int: ...
