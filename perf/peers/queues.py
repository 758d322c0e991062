"""multiprocessing.Queue: one for each consumer. It has no way to look that is cheaper than to wait."""

from __future__ import annotations

from peers.link import SPAWN, End, Link, Shape, nothing, to_each


class Queue(Link):
    name = "mp.Queue"
    waits = ("block",)

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.queues = [SPAWN.Queue() for _ in range(shape.consumers)]

    def sender(self, number: int) -> End:
        def close() -> None:
            for one in self.queues:
                one.close()

        return End(to_each([one.put for one in self.queues]), close)

    def receiver(self, number: int) -> End:
        return End(self.queues[number].get, nothing)
