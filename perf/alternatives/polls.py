"""How often a loop lets go of the GIL: around each look for a message, or around a batch of them."""

from __future__ import annotations

import time

from nanobus import CircularBus

import native

BATCH = 4096                                # messages that lie on the ring


def poll(kind: str, count: int) -> float:
    """Return the time of `count` looks; the ring is filled in between, which is not counted."""
    read, append = getattr(native.load("tried"), f"read_{kind}"), native.load("streams").append
    total = 0.0
    with CircularBus(1 << 20) as bus:
        writer, reader = bus.writer(), bus.reader()
        for done in range(0, count, BATCH):
            part = min(BATCH, count - done)
            append(writer, bytes(32), part)
            started = time.perf_counter()
            read(reader, part)
            total += time.perf_counter() - started
    return total
