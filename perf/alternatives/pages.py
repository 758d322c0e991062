"""Where a growing file gets its pages from.

A journal appends zeros to its segments, some at a time, and writes through a mapping behind that. The plainer ways make
the system find and clear a page at each fault: `ftruncate` leaves holes (and a full disk is then a SIGBUS), `fallocate`
has the blocks but not the pages.
"""

from __future__ import annotations

import mmap
import os
import tempfile
import time
from collections.abc import Callable

import native

PAGE = 4096
PIECE = 1 << 16                             # bytes appended at a time
AT_MOST = 1 << 28                           # bytes of a file


def holes(file: int, size: int) -> None:
    os.ftruncate(file, size)


def blocks(file: int, size: int) -> None:
    os.posix_fallocate(file, 0, size)


def zeros(file: int, size: int) -> None:
    piece = bytes(PIECE)
    for _ in range(0, size, PIECE):
        os.write(file, piece)


def fill(grow: Callable[[int, int], None], count: int) -> float:
    """Return the time that growing a file by `count` pages and writing them through a mapping takes."""
    copy, page, total = native.load("floors").copy, bytes(PAGE), 0.0
    for done in range(0, count, AT_MOST // PAGE):
        part = min(AT_MOST // PAGE, count - done)
        size = -(-(part + 1) * PAGE // PIECE) * PIECE
        with tempfile.TemporaryFile() as file:
            started = time.perf_counter()
            grow(file.fileno(), size)
            with mmap.mmap(file.fileno(), size) as mapping:
                copy(page, mapping, part)
            total += time.perf_counter() - started
    return total
