"""The socket between a messenger and a worker's process: objects go in at one end and come out at the other.

Each end notices the death of the other one by the end of the stream. An object is a pickle behind its length; what
may not be read at the other end is a pickle of its own inside, as bytes.
"""

from __future__ import annotations

import os
import pickle
import queue
import select
import socket
import struct
import threading
import weakref
from contextlib import suppress
from typing import Any

from nanobus.running import Completion

LENGTH = struct.Struct("<Q")
CHUNK = 1 << 16
PATIENCE_SECONDS = 1.0
NO_SIGNAL = getattr(socket, "MSG_NOSIGNAL", 0)      # a program may have SIGPIPE end it
channels: weakref.WeakSet[Channel] = weakref.WeakSet()


class Channel:
    """One end. Anybody may send, also a signal handler or a finalizer in the middle of another send; one thread
    receives.

    A thread of its own writes, one word after the other: who sends holds no lock, and what interrupts it tears nothing.
    """

    def __init__(self, stream: socket.socket) -> None:
        self.closed = False                 # by the other end
        self._socket = stream
        self._received = bytearray()
        self._words: queue.SimpleQueue[tuple[bytes, Completion] | None] = queue.SimpleQueue()
        self._writes = True
        self._writer = threading.Thread(target=self._write, name="nanobus-words", daemon=True)
        self._writer.start()
        channels.add(self)

    def fileno(self) -> int:
        return self._socket.fileno()

    def send(self, word: object) -> Completion:
        """Send an object soon; nothing happens where the other end is gone, which `receive` notices once all is read.

        Returns
        -------
        Completion
            Happens once the system has the object: it arrives also if this process dies.
        """
        body = pickle.dumps(word, pickle.HIGHEST_PROTOCOL)
        written = Completion()
        self._words.put((LENGTH.pack(len(body)) + body, written))
        return written

    def deliver(self, word: object) -> None:
        """Send an object, and wait until the system has it, for at most PATIENCE_SECONDS: whoever holds a lock may have
        interrupted the thread that writes."""
        self._deliver(word, PATIENCE_SECONDS)

    def deliver_surely(self, word: object) -> None:
        """Send an object, and wait until the system has it or the other end is gone, however long that takes."""
        self._deliver(word, None)

    def _deliver(self, word: object, seconds: float | None) -> None:
        written = self.send(word)
        if self._writes and self._writer is not threading.current_thread():
            written.wait(seconds)

    def finish(self) -> None:
        """Write what was sent, for at most PATIENCE_SECONDS; what is sent from here on is lost."""
        self._words.put(None)
        self._writer.join(PATIENCE_SECONDS)
        self._writes = False

    def receive(self) -> list[Any]:
        """Return the objects that have arrived, once `poll` says that something has; `closed` tells the end."""
        try:
            chunk = self._socket.recv(CHUNK)
        except OSError:
            chunk = b""
        self.closed = self.closed or not chunk
        self._received += chunk
        words = []
        while len(self._received) >= LENGTH.size:
            end = LENGTH.size + LENGTH.unpack_from(self._received)[0]
            if len(self._received) < end:
                break
            words.append(pickle.loads(memoryview(self._received)[LENGTH.size : end]))
            del self._received[:end]
        return words

    def receive_rest(self) -> list[Any]:
        """Return what has arrived from an end that will send no more, without waiting for the end of the stream."""
        words = []
        while not self.closed and is_readable(self._socket):
            words += self.receive()
        return words

    def close(self) -> None:
        """End the stream in both directions; what was not written yet is lost."""
        with suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)     # who is in the middle of writing gets an error
        self.finish()
        self._socket.close()

    def forget(self) -> None:
        """In a forked child: the stream is the parent's, and so is the thread that writes."""
        self._writes = False
        self._socket.close()

    def _write(self) -> None:
        written = Completion()
        try:
            while (sent := self._words.get()) is not None:
                packed, written = sent
                self._socket.sendall(packed, NO_SIGNAL)
                written.set()
        except OSError:                     # the other end is gone
            pass
        finally:
            self._writes = False
            written.set()
            with suppress(OSError):         # no word may follow half a word
                self._socket.shutdown(socket.SHUT_WR)
            with suppress(queue.Empty):
                while True:
                    sent = self._words.get_nowait()
                    if sent is not None:
                        sent[1].set()


def is_readable(stream: socket.socket) -> bool:
    poll = select.poll()
    poll.register(stream, select.POLLIN)
    return bool(poll.poll(0))


def open_pair() -> tuple[Channel, socket.socket]:
    """Return the parent's end, and the socket that a child is to have."""
    own, others = socket.socketpair()
    try:
        return Channel(own), others
    except BaseException:                   # no more threads
        own.close()
        others.close()
        raise


def close_channels() -> None:
    """In a forked child: they are the parent's, and must end with it."""
    for channel in list(channels):
        channel.forget()


os.register_at_fork(after_in_child=close_channels)
