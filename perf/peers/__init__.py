"""What two processes can talk through: ours and the others', one small file each, behind one little interface.

    peer.py            the interface: start, stop, round_trips; open and run_echo of programs
    handlers.py        nanobus: a handler answers a handler; a handler answers a program
    handles.py         nanobus: reader and writer of one ring, in two programs
    pipe.py            multiprocessing.Pipe
    queues.py          multiprocessing.Queue
    zeromq.py          pyzmq, ipc
    fifo.py            faster-fifo
    iceoryx.py         iceoryx2, publish-subscribe

Each is set up as its own documentation has it fastest for 32 bytes. Who is not installed says so (`available`).
"""

from __future__ import annotations

from peers.fifo import FasterFifo
from peers.handlers import AnsweringHandler, Handlers
from peers.handles import Handles
from peers.iceoryx import Iceoryx
from peers.peer import Peer
from peers.pipe import Pipe
from peers.queues import Queue
from peers.zeromq import ZeroMQ

OURS: tuple[type[Peer], ...] = (Handlers, AnsweringHandler, Handles)
RIVALS: tuple[type[Peer], ...] = (Iceoryx, FasterFifo, Pipe, ZeroMQ, Queue)
