"""multiprocessing.Queue: one each way. It has no way to look that is cheaper than to wait."""

from __future__ import annotations

from peers.peer import SPAWN, Ends, Programs, Wait


class Queue(Programs):
    name = "multiprocessing.Queue"
    waits = ("block",)

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait)
        self.there = SPAWN.Queue()
        self.back = SPAWN.Queue()

    def open(self, asks: bool) -> Ends:
        outgoing, incoming = (self.there, self.back) if asks else (self.back, self.there)
        return Ends(outgoing.put, incoming.get, outgoing.close)
