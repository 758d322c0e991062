"""Write and read one 32-byte message in C, in one thread; beside the floor of any bus with many writers."""

from __future__ import annotations

import time
from functools import partial
from typing import Any

from nanobus import CircularBus

import native
from suite.case import Case, measure


def write_and_read(parameters: dict[str, Any], count: int) -> float:
    streams = native.load("streams")
    with CircularBus(1 << 16, **parameters) as bus:
        writer, reader = bus.writer(), bus.reader()
        streams.write_and_read(writer, reader, 10_000)
        started = time.perf_counter()
        streams.write_and_read(writer, reader, count)
        return time.perf_counter() - started


VARIANTS: dict[str, dict[str, Any]] = {
    "": {},
    ", spinning bus": {"wait": "spin"},
    ", timestamps": {"timestamps": True},
    ", checksums": {"checksum": True},
}
CASES = [
    Case(f"write + read{name}", partial(write_and_read, parameters), True, "compare-and-swap")
    for name, parameters in VARIANTS.items()
]

if __name__ == "__main__":
    measure("A message of 32 bytes written and read in C, in one thread", CASES)
