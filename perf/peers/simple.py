"""queue.SimpleQueue: passes a reference from thread to thread."""

from __future__ import annotations

import queue

from peers.link import End, Link, Shape, nothing, to_each


class SimpleQueue(Link):
    name = "SimpleQueue"
    module = "queue"
    waits = ("block",)
    places = ("threads",)

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.queues: list[queue.SimpleQueue[bytes]] = [queue.SimpleQueue() for _ in range(shape.consumers)]

    def sender(self, number: int) -> End:
        return End(to_each([one.put for one in self.queues]), nothing)

    def receiver(self, number: int) -> End:
        return End(self.queues[number].get, nothing)
