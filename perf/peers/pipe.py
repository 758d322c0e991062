"""multiprocessing.Pipe: bytes without pickle; a one-way pipe, which costs less than a socket pair, for each pair."""

from __future__ import annotations

from multiprocessing.connection import Connection, wait
from typing import cast

from peers.link import SPAWN, End, Link, Shape, to_each


class Pipe(Link):
    name = "mp.Pipe"

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.pipes = [[SPAWN.Pipe(duplex=False) for _ in range(shape.consumers)] for _ in range(shape.producers)]

    def sender(self, number: int) -> End:
        ends = [out for _, out in self.pipes[number]]

        def close() -> None:
            for end in ends:
                end.close()

        return End(to_each([end.send_bytes for end in ends]), close)

    def receiver(self, number: int) -> End:
        ends = [row[number][0] for row in self.pipes]

        def close() -> None:
            for end in ends:
                end.close()

        if len(ends) == 1:
            return End(ends[0].recv_bytes if self.shape.wait == "block" else polled(ends[0]), close)
        ready: list[Connection] = []

        def receive() -> bytes:
            if not ready:
                ready.extend(cast("list[Connection]", wait(ends)))
            return ready.pop().recv_bytes()

        return End(receive, close)


def polled(end: Connection):  # type: ignore[no-untyped-def]
    poll, receive_bytes = end.poll, end.recv_bytes

    def receive() -> bytes:
        while not poll(0):
            pass
        return receive_bytes()

    return receive
