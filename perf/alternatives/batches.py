"""What a handler of batches is given: a copy of the payloads, or a view of them where they lie, between slot headers.

The view would have to be gone when the slots are let go: numpy cannot take an array back that somebody keeps.
"""

from __future__ import annotations

import time

import numpy as np

HEADER = 32                                 # bytes before each payload
QUOTE = np.dtype([("number", "<u8"), ("bid", "<f8"), ("ask", "<f8"), ("size", "<f8")])
LENGTH = HEADER + QUOTE.itemsize
MESSAGES = 512                              # a batch


def take(copies: bool, count: int) -> float:
    """Return the time of `count` messages in batches, of which one column is summed."""
    slots = bytes(MESSAGES * LENGTH)
    repeat = range(-(-count // MESSAGES))
    started = time.perf_counter()
    for _ in repeat:
        if copies:                          # as plain bytes: numpy copies structures field by field
            batch = np.ndarray((MESSAGES, QUOTE.itemsize), np.uint8, slots, HEADER, (LENGTH, 1)).copy().view(QUOTE)
        else:
            batch = np.ndarray(MESSAGES, QUOTE, slots, HEADER, (LENGTH,))
        batch["bid"].sum()
    return (time.perf_counter() - started) * count / (len(repeat) * MESSAGES)
