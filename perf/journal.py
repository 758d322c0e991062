"""Append to a journal and scan it, in C: beside the ring, and beside a plain copy of the same bytes."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import native
import pyperf

from nanobus import CircularBus, JournalBus, Retention

SIZES = {"32 B": 32, "1 KiB": 1024, "64 KiB": 65536}
AT_MOST = 1 << 28  # bytes of log in one timed stretch: what is longer is timed in several


def copy(count: int, size: int) -> float:
    floors = native.load("floors")
    source, target = bytes(size), bytearray(1 << 22)
    floors.copy(source, target, (1 << 22) // size)
    started = time.perf_counter()
    floors.copy(source, target, count)
    return time.perf_counter() - started


def fresh_copy(count: int, size: int) -> float:
    """A copy into memory that nobody has touched, as a journal's is: the system has to find and clear the pages."""
    floors = native.load("floors")
    source, total = bytes(size), 0.0
    for part in parts(count, size):
        with JournalMemory(part * size) as target:
            started = time.perf_counter()
            floors.copy(source, target, part)
            total += time.perf_counter() - started
    return total


class JournalMemory:
    """A new file, mapped whole, its blocks allocated."""

    def __init__(self, size: int) -> None:
        from nanobus.memory.file import FileMapping

        self.folder = tempfile.mkdtemp()
        self.mapping = FileMapping(Path(self.folder) / "bytes", size)

    def __enter__(self) -> memoryview:
        self.view = memoryview(self.mapping)
        return self.view

    def __exit__(self, *exception: object) -> None:
        self.view.release()
        self.mapping.close()
        shutil.rmtree(self.folder)


def parts(count: int, size: int) -> list[int]:
    most = max(1, AT_MOST // (size + 32))
    return [min(most, count - done) for done in range(0, count, most)]


def ring(count: int, size: int) -> float:
    loops = native.load("loops")
    with CircularBus(1 << 22) as bus:
        writer, payload = bus.writer(), bytes(size)
        loops.append(writer, payload, 1000)
        started = time.perf_counter()
        loops.append(writer, payload, count)
        return time.perf_counter() - started


def journal(count: int, size: int, checks: bool) -> float:
    loops = native.load("loops")
    folder, payload, total = tempfile.mkdtemp(), bytes(size), 0.0
    try:
        keep = Retention(size=AT_MOST)
        with JournalBus(Path(folder) / "journal", timestamps=checks, checksum=checks, retention=keep) as bus:
            writer = bus.writer()
            for part in parts(count, size):
                started = time.perf_counter()
                done = loops.append(writer, payload, part)
                total += time.perf_counter() - started
                assert done == part
                bus.keep_house()
    finally:
        shutil.rmtree(folder)
    return total


def scan(count: int, checks: bool) -> float:
    loops = native.load("loops")
    folder = tempfile.mkdtemp()
    try:
        with JournalBus(Path(folder) / "journal", timestamps=checks, checksum=checks) as bus:
            loops.append(bus.writer(), bytes(32), min(count, 1 << 20))
            total = 0.0
            for part in [1 << 20] * (count >> 20) + [count & ((1 << 20) - 1)]:
                reader = bus.reader("oldest")
                started = time.perf_counter()
                seen, _ = loops.scan(reader) if part == 1 << 20 or count < 1 << 20 else (0, 0)
                total += (time.perf_counter() - started) * (part / seen if seen else 1)
                reader.close()
            return total
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    native.load("loops")
    runner = pyperf.Runner()
    runner.metadata["description"] = "append to a journal, natively"
    for name, size in SIZES.items():
        runner.bench_time_func(f"copy, {name}", copy, size)
        runner.bench_time_func(f"copy to a new file, {name}", fresh_copy, size)
        runner.bench_time_func(f"ring, {name}", ring, size)
        runner.bench_time_func(f"journal, {name}", journal, size, False)
        runner.bench_time_func(f"journal with checksums and timestamps, {name}", journal, size, True)
