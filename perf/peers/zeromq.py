"""pyzmq: a PULL socket for each consumer, a PUSH to each; copied, which for small ones costs less than tracking them.

Between threads of one process over inproc, between processes over ipc. PUB and SUB, which broadcast, may lose messages.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import partial

from peers.link import End, Link, Shape, to_each


class ZeroMQ(Link):
    name = "pyzmq"
    module = "zmq"
    places = ("threads", "processes")

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.folder = tempfile.mkdtemp(prefix="perf-")

    def address(self, consumer: int) -> str:
        path = os.path.join(self.folder, str(consumer))
        return f"inproc://{path}" if self.shape.where == "threads" else f"ipc://{path}"

    def sender(self, number: int) -> End:
        import zmq

        sockets = [zmq.Context.instance().socket(zmq.PUSH) for _ in range(self.shape.consumers)]
        for consumer, socket in enumerate(sockets):
            socket.connect(self.address(consumer))

        def close() -> None:
            for socket in sockets:
                socket.close(linger=1000)

        return End(to_each([partial(socket.send, copy=True) for socket in sockets]), close)

    def receiver(self, number: int) -> End:
        import zmq

        socket = zmq.Context.instance().socket(zmq.PULL)
        socket.bind(self.address(number))
        close = partial(socket.close, linger=0)
        if self.shape.wait == "block":
            return End(socket.recv, close)
        look, empty = partial(socket.recv, zmq.NOBLOCK), zmq.Again

        def receive() -> bytes:
            while True:
                try:
                    return look()
                except empty:
                    pass

        return End(receive, close)

    def close(self) -> None:
        shutil.rmtree(self.folder)
