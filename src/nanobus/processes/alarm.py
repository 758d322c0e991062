"""What wakes a thread that polls."""

from __future__ import annotations

import select
import socket
from contextlib import suppress

MANY = 1 << 16                              # more than is ever rung at once


class Alarm:
    """Wakes the thread that polls it. Ringing is safe from any thread and signal handler."""

    def __init__(self) -> None:
        self.ear, self.bell = socket.socketpair()
        self.ear.setblocking(False)
        self.bell.setblocking(False)

    def fileno(self) -> int:
        return self.ear.fileno()

    def ring(self) -> None:
        with suppress(OSError):             # full: it rings already; closed: nobody listens any more
            self.bell.send(b"\0")

    def sleep(self, seconds: float) -> None:
        """Wait until it rings, but no longer; then hush it."""
        poll = select.poll()
        poll.register(self.ear, select.POLLIN)
        poll.poll(seconds * 1000)
        self.hush()

    def hush(self) -> bytes:
        """Return what has been rung: of signals their numbers."""
        try:
            return self.ear.recv(MANY)
        except OSError:
            return b""

    def close(self) -> None:
        self.ear.close()
        self.bell.close()
