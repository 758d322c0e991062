"""nanobus without handlers: each node opens one bus by its path and has a reader or a writer on it."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from nanobus import CircularBus, JournalBus, Retention

from peers.link import End, Link, Shape

CAPACITY = 1 << 20                          # bytes
KEPT = 1 << 28                              # bytes of journal
BYTES = 1                                   # message id


class Ring(Link):
    name = "nanobus"
    module = "nanobus"
    places = ("threads", "processes")

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.folder = Path(tempfile.mkdtemp(prefix="perf-"))

    def bus(self) -> CircularBus | JournalBus:
        return CircularBus(CAPACITY, self.folder / "ring", wait=self.shape.wait)

    def sender(self, number: int) -> End:
        bus = self.bus()
        return End(partial(bus.writer().write, 1 + number, BYTES), bus.close)

    def receiver(self, number: int) -> End:
        bus = self.bus()
        following: Callable[[], Any] = bus.reader("newest").__next__

        def receive() -> bytes:
            payload: bytes = following().payload
            return payload

        return End(receive, bus.close)

    def close(self) -> None:
        shutil.rmtree(self.folder)


class Journal(Ring):
    name = "nanobus journal"

    def bus(self) -> JournalBus:
        return JournalBus(self.folder / "journal", wait=self.shape.wait, retention=Retention(size=KEPT))
