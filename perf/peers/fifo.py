"""faster-fifo: one queue each way, bytes without pickle; `get`, by its own figures ahead of `get_many` one to one."""

from __future__ import annotations

import queue
from functools import partial

from peers.peer import Ends, Programs, Wait

FOR_EVER = 1e6                              # seconds; it knows no None


def unchanged(message: bytes) -> bytes:
    return message


class FasterFifo(Programs):
    name = "faster-fifo"
    package = "faster-fifo"
    module = "faster_fifo"

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait)
        import faster_fifo

        self.there = faster_fifo.Queue(1 << 16, loads=bytes, dumps=unchanged)
        self.back = faster_fifo.Queue(1 << 16, loads=bytes, dumps=unchanged)

    def open(self, asks: bool) -> Ends:
        outgoing, incoming = (self.there, self.back) if asks else (self.back, self.there)
        if self.wait == "block":
            return Ends(outgoing.put, partial(incoming.get, timeout=FOR_EVER), outgoing.close)
        look = incoming.get_nowait

        def receive() -> bytes:
            while True:
                try:
                    return look()
                except queue.Empty:
                    pass

        return Ends(outgoing.put, receive, outgoing.close)
