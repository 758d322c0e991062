"""Write 32 bytes from Python, beside the queue people use now."""

import queue
import time

import pyperf

from nanobus import CircularBus

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


if __name__ == "__main__":
    runner = pyperf.Runner()
    runner.metadata["description"] = "32 bytes from Python"
    runner.bench_time_func("SimpleQueue put + get", queue_put_get)
    runner.bench_time_func("bus.write", bus_write)
    runner.bench_time_func("writer.write", writer_write)
