"""A bar on a terminal, while something takes long."""

from __future__ import annotations

import sys
import time
from types import TracebackType
from typing import Self

from nanobus.cli.streams import say

WIDTH = 30  # characters
PATIENCE = 0.5  # seconds before there is a bar
PAUSE = 0.1  # seconds between two of them


class Progress:
    """Shows on stderr how much of `total` is done, if that is a terminal and it takes a while.

    Parameters
    ----------
    total : int
    unit : str
        Said behind the rate, in millions a second.
    wanted : bool
    """

    def __init__(self, total: int, unit: str = "MB/s", wanted: bool = True) -> None:
        self._total = max(total, 1)
        self._unit = unit
        self._began = time.monotonic()
        self._next = self._began + PATIENCE if wanted and sys.stderr.isatty() else float("inf")
        self._shown = False

    def show(self, done: int) -> None:
        """Draw, if it is time."""
        now = time.monotonic()
        if now < self._next:
            return
        self._next, self._shown = now + PAUSE, True
        part = min(max(done / self._total, 0.0), 1.0)
        bar = ("#" * round(part * WIDTH)).ljust(WIDTH, ".")
        rate = done / (now - self._began) / 1e6
        say(f"\r{bar} {part:4.0%} {rate:8.1f} {self._unit}\x1b[K", end="")

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._shown:
            say("\r\x1b[K", end="")
