"""Write 32 bytes from Python, one by one and many at once, beside the queue people use now."""

from __future__ import annotations

import queue
import time

from nanobus import CircularBus

from suite.case import Case, measure
from suite.messages import SIZES, Small, message_of

PAYLOAD = b"x" * 32
BATCH = 64                                  # messages


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


def sender_send(count: int) -> float:
    with CircularBus(1 << 20) as bus:
        send, one = bus.sender(1).send, message_of("Record", SIZES[0])
        repeat = range(count)
        started = time.perf_counter()
        for _ in repeat:
            send(one)
        return time.perf_counter() - started


def send_batches(count: int) -> float:
    """Return the time of `count` messages, sent in batches."""
    with CircularBus(1 << 20) as bus:
        send, rows = bus.sender(1).send_batch, bytes(SIZES[0] * BATCH)
        repeat = range(-(-count // BATCH))
        started = time.perf_counter()
        for _ in repeat:
            send(Small, rows)
        return (time.perf_counter() - started) * count / (len(repeat) * BATCH)


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
    Case("sender.send of a Record", sender_send, True, "compare-and-swap"),
    Case("a Record of sender.send_batch of 64", send_batches, True, "compare-and-swap"),
    Case("SimpleQueue put + get", queue_put_get, True, "bus.write"),
]

if __name__ == "__main__":
    measure("32 bytes written from Python", CASES)
