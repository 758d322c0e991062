"""Write and read one 32-byte message in C, in one thread; beside the floor of any bus with many writers."""

import time

import native
import pyperf

from nanobus import CircularBus


def write_and_read(count: int, **parameters: object) -> float:
    loops = native.load("loops")
    with CircularBus(1 << 16, **parameters) as bus:
        writer, reader = bus.writer(), bus.reader()
        loops.write_and_read(writer, reader, 10_000)
        started = time.perf_counter()
        loops.write_and_read(writer, reader, count)
        return time.perf_counter() - started


def floor(count: int, name: str) -> float:
    function = getattr(native.load("floors"), name)
    started = time.perf_counter()
    function(count)
    return time.perf_counter() - started


if __name__ == "__main__":
    native.load("loops")
    runner = pyperf.Runner()
    runner.metadata["description"] = "native write + read of 32 bytes, one thread"
    runner.bench_time_func("compare-and-swap", floor, "swap")
    runner.bench_time_func("write + read", write_and_read)
    runner.bench_time_func("write + read, spinning bus", lambda count: write_and_read(count, wait="spin"))
    runner.bench_time_func("write + read, timestamps", lambda count: write_and_read(count, timestamps=True))
    runner.bench_time_func("write + read, checksums", lambda count: write_and_read(count, checksum=True))
