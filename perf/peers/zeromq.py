"""pyzmq over ipc: a pair of PAIR sockets; messages are copied, which for small ones costs less than tracking them."""

from __future__ import annotations

import os
import shutil
import tempfile
from functools import partial

from peers.peer import Ends, Programs, Wait


class ZeroMQ(Programs):
    name = "pyzmq ipc"
    package = "pyzmq"
    module = "zmq"

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait)
        self.path = os.path.join(tempfile.mkdtemp(prefix="peers-"), "socket")

    def open(self, asks: bool) -> Ends:
        import zmq

        context = zmq.Context()
        socket = context.socket(zmq.PAIR)
        (socket.bind if asks else socket.connect)(f"ipc://{self.path}")

        def close() -> None:
            context.destroy(linger=1000)
            if asks:
                shutil.rmtree(os.path.dirname(self.path))

        send = partial(socket.send, copy=True)
        if self.wait == "block":
            return Ends(send, socket.recv, close)
        look, nothing = partial(socket.recv, zmq.NOBLOCK), zmq.Again

        def receive() -> bytes:
            while True:
                try:
                    return look()
                except nothing:
                    pass

        return Ends(send, receive, close)
