"""multiprocessing.Pipe: bytes without pickle; two one-way pipes, which cost less than a socket pair."""

from __future__ import annotations

from peers.peer import SPAWN, Ends, Programs, Wait


class Pipe(Programs):
    name = "multiprocessing.Pipe"

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait)
        self.there = SPAWN.Pipe(duplex=False)
        self.back = SPAWN.Pipe(duplex=False)

    def open(self, asks: bool) -> Ends:
        incoming, outgoing = (self.back[0], self.there[1]) if asks else (self.there[0], self.back[1])
        receive_bytes, poll = incoming.recv_bytes, incoming.poll

        def close() -> None:
            incoming.close()
            outgoing.close()

        if self.wait == "block":
            return Ends(outgoing.send_bytes, receive_bytes, close)

        def receive() -> bytes:
            while not poll(0):
                pass
            return receive_bytes()

        return Ends(outgoing.send_bytes, receive, close)
