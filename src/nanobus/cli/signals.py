"""SIGINT and SIGTERM while a program runs, and how a process ends because of them.

Who was asked to stop by a signal, and has stopped in order, still ends by that signal, once the interpreter has ended.
So a shell sees 130 or 143, and Ctrl-C ends the script that waits for the program, too; and a service manager knows a
stop that it asked for from a failure, which an exit code of 143 would be to systemd. The first process of a container
cannot be ended by a signal of its own: there it is the exit code.
"""

from __future__ import annotations

import signal
from types import FrameType
from typing import Protocol, Self

STOPPING = (signal.SIGINT, signal.SIGTERM)


class Stoppable(Protocol):
    """What a signal stops."""

    def request_stop(self, drain: bool = True) -> None: ...
    def force(self) -> None: ...


class Signals:
    """Hears them while it is entered: the first one stops and drains, the second forces, the third ends the process.
    Before there is something to stop, they interrupt; the first one waits for what is starting. For the main thread.

    Attributes
    ----------
    first : int or None
        The number of the first one.
    forces : bool
        Whether there was a second one.
    """

    def __init__(self) -> None:
        self.first: int | None = None
        self.forces = False
        self._starting = False
        self._running: Stoppable | None = None
        self._former: dict[int, object] = {}

    def __enter__(self) -> Self:
        for number in STOPPING:
            former = signal.getsignal(number)
            if former is not signal.SIG_IGN:        # as of a shell's background job, which Ctrl-C is not for
                self._former[number] = former
                signal.signal(number, self._hear)
        return self

    def __exit__(self, *exception: object) -> None:
        for number, former in self._former.items():
            if former is not None:                  # which C code had installed
                signal.signal(number, former)  # type: ignore[arg-type]  # what `getsignal` returned

    def wait_for_start(self) -> None:
        """Say that there will soon be something to stop."""
        self._starting = True

    def stop(self, running: Stoppable) -> None:
        """Say what they stop from now on, and at once if there was one meanwhile."""
        self._running = running
        if self.first is not None:
            running.request_stop()

    def _hear(self, number: int, _: FrameType | None) -> None:
        if self.first is None:
            self.first = number
        else:
            self.forces = True
            for one in self._former:
                signal.signal(one, signal.SIG_DFL)
        if self._running is None:
            if self._starting and not self.forces:
                return
            raise KeyboardInterrupt
        if self.forces:
            self._running.force()
        else:
            self._running.request_stop()


def code_of(number: int) -> int:
    """Return what a shell says of a process that the signal `number` has ended."""
    return 128 + number
