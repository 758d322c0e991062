"""What messages can travel through: ours and the others', one small file each, behind one little interface.

    link.py            the interface: a link, its senders and receivers
    rings.py           nanobus without handlers: a reader and a writer of one bus
    simple.py          queue.SimpleQueue, between threads
    pipe.py            multiprocessing.Pipe
    queues.py          multiprocessing.Queue
    zeromq.py          pyzmq, inproc and ipc
    fifo.py            faster-fifo
    iceoryx.py         iceoryx2, publish-subscribe

Each is set up as its own documentation has it fastest for bytes. Who is not installed says so (`available`).
"""

from __future__ import annotations

from peers.fifo import FasterFifo
from peers.iceoryx import Iceoryx
from peers.link import Link
from peers.pipe import Pipe
from peers.queues import Queue
from peers.rings import Journal, Ring
from peers.simple import SimpleQueue
from peers.zeromq import ZeroMQ

__all__ = ["OURS", "RIVALS", "Journal", "Link", "Ring"]

OURS: tuple[type[Link], ...] = (Ring, Journal)
RIVALS: tuple[type[Link], ...] = (SimpleQueue, Iceoryx, FasterFifo, Pipe, ZeroMQ, Queue)
