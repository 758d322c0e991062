from collections.abc import Callable, Iterable
from typing import Self, final

from nanobus.bus.base import BusReader
from nanobus.dispatch.playback import Playback
from nanobus.dispatch.recording import Recording
from nanobus.dispatch.worker_loop import WorkerLoop

@final
class ReplayLoop(Playback):
    def __new__(
        cls,
        reader: BusReader,
        end: int,
        end_time: int | None,
        loops: Iterable[WorkerLoop],
        recording: Recording,
        pace: Callable[[int], object] | None,
    ) -> Self: ...
    def run(self) -> int: ...
