"""nanobus without handlers: two programs that open one ring by its path, each with a reader and a writer."""

from __future__ import annotations

import os
import tempfile
from functools import partial

from nanobus import CircularBus
from peers.peer import Ends, Programs, Wait

ASKING, ANSWERING = 1, 2
BYTES = 1


class Handles(Programs):
    name = "nanobus, reader and writer"
    module = "nanobus"

    def __init__(self, wait: Wait) -> None:
        super().__init__(wait)
        self.path = os.path.join(tempfile.mkdtemp(prefix="peers-"), "ring")

    def open(self, asks: bool) -> Ends:
        bus = CircularBus(1 << 16, self.path, wait=self.wait)
        own = ASKING if asks else ANSWERING
        following = bus.reader("newest").__next__

        def receive() -> bytes:
            while (envelope := following()).source == own:
                pass
            return envelope.payload

        def close() -> None:
            bus.close()
            if asks:
                os.unlink(self.path)
                os.rmdir(os.path.dirname(self.path))

        return Ends(partial(bus.writer().write, own, BYTES), receive, close)
