"""What was tried and lost, beside what the library does instead: see alternatives/."""

from __future__ import annotations

from functools import partial

from alternatives import pages, payloads, polls
from suite.case import Case, measure

APPENDED = "a new page of a file, zeros appended"
BYTES = "a handler called with new bytes, 32 B"
BATCH = "a look for a message, the GIL let go for a batch"
CASES = [
    Case(APPENDED, partial(pages.fill, pages.zeros)),
    Case("a new page of a file, fallocate", partial(pages.fill, pages.blocks), False, APPENDED),
    Case("a new page of a file, a hole", partial(pages.fill, pages.holes), False, APPENDED),
    Case(BYTES, partial(payloads.give, "bytes", 32)),
    Case("a handler called with a new memoryview, 32 B", partial(payloads.give, "memoryview", 32), False, BYTES),
    Case(BATCH, partial(polls.poll, "at_once")),
    Case("a look for a message, the GIL let go each time", partial(polls.poll, "one_by_one"), False, BATCH),
]

if __name__ == "__main__":
    measure("Tried and lost", CASES)
