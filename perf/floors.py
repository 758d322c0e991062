"""What any bus has to pay: the bare call of a handler, a copy, a compare-and-swap, a cache line between two threads."""

from __future__ import annotations

import shutil
import tempfile
import threading
import time
from functools import partial
from pathlib import Path
from typing import Any

from nanobus import Handler, on
from nanobus.memory.file import FileMapping

import native
from suite.case import Case, measure
from suite.messages import SIZE_NAMES, SIZES, Small, message_of
from suite.streams import BARE_CALL

IN_CACHE = 1 << 20                          # bytes, as the rings of the suite
PAGE = 4096
AT_MOST = 1 << 28                           # bytes of a new file in one timed stretch


class Empty(Handler, id=1):
    @on(Small)
    def receive(self, one: Any) -> None:
        pass


def bare_call(count: int) -> float:
    call, receive, one = native.load("calls").call, Empty().receive, message_of("Record", SIZES[0])
    started = time.perf_counter()
    call(receive, one, count)
    return time.perf_counter() - started


def swap(count: int) -> float:
    swap = native.load("floors").swap
    started = time.perf_counter()
    swap(count)
    return time.perf_counter() - started


def copy(size: int, count: int) -> float:
    """Copy into memory that is used again and again, as a ring's is."""
    copy = native.load("floors").copy
    source, target = bytes(size), bytearray(IN_CACHE)
    copy(source, target, IN_CACHE // size)
    started = time.perf_counter()
    copy(source, target, count)
    return time.perf_counter() - started


def fresh_copy(size: int, count: int) -> float:
    """Copy into a new file that is mapped whole: the system has to find and clear the pages, as for a journal's."""
    copy = native.load("floors").copy
    source, total, most = bytes(size), 0.0, AT_MOST // size
    for done in range(0, count, most):
        part = min(most, count - done)
        folder = tempfile.mkdtemp(prefix="perf-")
        started = time.perf_counter()
        mapping = FileMapping(Path(folder) / "bytes", part * size + PAGE)
        with memoryview(mapping) as target:
            copy(source, target, part)
            total += time.perf_counter() - started
        mapping.close()
        shutil.rmtree(folder)
    return total


def cache_line(count: int) -> float:
    """Let two threads spin on one word: needs a processor for each."""
    line = native.load("floors").CacheLine()
    other = threading.Thread(target=line.answer, args=(count + 1,))
    other.start()
    line.ask(1)                             # now both are there
    started = time.perf_counter()
    line.ask(count)
    elapsed = time.perf_counter() - started
    other.join()
    return elapsed


CASES = [
    Case(BARE_CALL, bare_call, quick=True),
    Case("compare-and-swap", swap, quick=True),
    Case("a cache line there and back", cache_line, quick=True),
    *(Case(f"copy, {SIZE_NAMES[one]}", partial(copy, one), quick=True, facts={"bytes": one}) for one in SIZES),
    *(
        Case(f"copy to a new file, {SIZE_NAMES[one]}", partial(fresh_copy, one), quick=True, facts={"bytes": one})
        for one in SIZES
    ),
]

if __name__ == "__main__":
    measure("Floors", CASES)
