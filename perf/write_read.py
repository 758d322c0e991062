"""Write and read messages of 32 bytes in C, in one thread; beside the floor of any bus with many writers."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from nanobus import CircularBus

import native
from suite.case import Case, measure


def write_and_read(parameters: dict[str, Any], batch: int, count: int) -> float:
    streams = native.load("streams")
    with CircularBus(1 << 16, **parameters) as bus:
        writer, reader = bus.writer(), bus.reader()
        run = partial(streams.write_and_read, writer, reader)
        if batch:
            run = partial(streams.write_and_read_batches, writer, reader, batch)
        run(10_000)
        started = time.perf_counter()
        run(count)
        return time.perf_counter() - started


VARIANTS: dict[str, dict[str, Any]] = {
    "": {},
    ", spinning bus": {"wait": "spin"},
    ", timestamps": {"timestamps": True},
    ", checksums": {"checksum": True},
}
BATCH = 64
CASES = [
    Case(f"write + read{name}", partial(write_and_read, parameters, 0), True, "compare-and-swap")
    for name, parameters in VARIANTS.items()
] + [
    Case(f"write + read, in batches of {BATCH}", partial(write_and_read, {}, BATCH), True, "write + read")
]

if __name__ == "__main__":
    measure("A message of 32 bytes written and read in C, in one thread", CASES)
