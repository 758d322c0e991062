"""Append to a journal and scan it, in C: beside the ring, and beside a plain copy of the same bytes."""

from __future__ import annotations

import shutil
import tempfile
import time
from functools import partial
from pathlib import Path

from nanobus import CircularBus, JournalBus, Retention

import native
from suite.case import Case, measure
from suite.messages import SIZE_NAMES, SIZES

AT_MOST = 1 << 28                           # bytes of log in one timed stretch: what is longer is timed in several
SCANNED = 1 << 18                           # messages


def parts(count: int, size: int) -> list[int]:
    most = max(1, AT_MOST // (size + 32))
    return [min(most, count - done) for done in range(0, count, most)]


def ring(size: int, count: int) -> float:
    append, payload = native.load("streams").append, bytes(size)
    with CircularBus(1 << 20) as bus:
        writer = bus.writer()
        append(writer, payload, 1000)
        started = time.perf_counter()
        append(writer, payload, count)
        return time.perf_counter() - started


def journal(size: int, checks: bool, count: int) -> float:
    append, payload, total = native.load("streams").append, bytes(size), 0.0
    folder = tempfile.mkdtemp(prefix="perf-")
    try:
        keep = Retention(size=AT_MOST)
        with JournalBus(Path(folder) / "journal", timestamps=checks, checksum=checks, retention=keep) as bus:
            writer = bus.writer()
            for part in parts(count, size):
                started = time.perf_counter()
                append(writer, payload, part)
                total += time.perf_counter() - started
                bus.keep_house()
    finally:
        shutil.rmtree(folder)
    return total


def scan(checks: bool, count: int) -> float:
    """Return the time of `count` messages, from as many passes over one journal as that takes."""
    streams, total = native.load("streams"), 0.0
    folder = tempfile.mkdtemp(prefix="perf-")
    try:
        with JournalBus(Path(folder) / "journal", timestamps=checks, checksum=checks) as bus:
            messages = min(count, SCANNED)
            streams.append(bus.writer(), bytes(32), messages)
            passes = -(-count // messages)
            for _ in range(passes):
                with bus.reader("oldest") as reader:
                    started = time.perf_counter()
                    seen, _ = streams.scan(reader)
                    total += time.perf_counter() - started
                    assert seen == messages
            return total * count / (passes * messages)
    finally:
        shutil.rmtree(folder)


def cases() -> list[Case]:
    found = []
    for size in SIZES:
        name, facts = SIZE_NAMES[size], {"bytes": size}
        in_cache, new = f"copy, {name}", f"copy to a new file, {name}"
        found += [
            Case(f"append to a ring, {name}", partial(ring, size), True, in_cache, facts=facts),
            Case(f"append to a journal, {name}", partial(journal, size, False), True, new, facts=facts),
            Case(f"append to a checked journal, {name}", partial(journal, size, True), True, new, facts=facts),
        ]
    found.append(Case("scan a journal, 32 B", partial(scan, False), True, "copy, 32 B"))
    found.append(Case("scan a journal and check it, 32 B", partial(scan, True), False, "copy, 32 B"))
    return found


CASES = cases()

if __name__ == "__main__":
    measure("A message appended to a bus in C, with nobody who reads; a message scanned", CASES)
