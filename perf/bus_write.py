"""Write 32 bytes from Python, beside the queue people use now."""

from __future__ import annotations

import queue
import time

from nanobus import CircularBus

from suite.case import Case, measure

PAYLOAD = b"x" * 32


def bus_write(count: int) -> float:
    with CircularBus(1 << 20) as bus:
        write = bus.write
        repeat = range(count)
        started = time.perf_counter()
        for _ in repeat:
            write(1, 1, PAYLOAD)
        return time.perf_counter() - started


def writer_write(count: int) -> float:
    with CircularBus(1 << 20) as bus:
        write = bus.writer().write
        repeat = range(count)
        started = time.perf_counter()
        for _ in repeat:
            write(1, 1, PAYLOAD)
        return time.perf_counter() - started


def queue_put_get(count: int) -> float:
    simple: queue.SimpleQueue[bytes] = queue.SimpleQueue()
    put, get = simple.put, simple.get
    repeat = range(count)
    started = time.perf_counter()
    for _ in repeat:
        put(PAYLOAD)
        get()
    return time.perf_counter() - started


CASES = [
    Case("bus.write", bus_write, True, "compare-and-swap"),
    Case("writer.write", writer_write, True, "compare-and-swap"),
    Case("SimpleQueue put + get", queue_put_get, True, "bus.write"),
]

if __name__ == "__main__":
    measure("32 bytes written from Python", CASES)
