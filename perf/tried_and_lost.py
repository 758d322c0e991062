"""What was tried and lost, beside what the library does instead: see alternatives/."""

from __future__ import annotations

from functools import partial

from alternatives import attributes, batches, calls, pages, payloads, polls
from suite.case import Case, measure

APPENDED = "a new page of a file, zeros appended"
BYTES = "a handler called with new bytes, 32 B"
BATCH = "a look for a message, the GIL let go for a batch"
ATTRIBUTE = "an attribute of a plain object"
CALL = "a handler called from C"
COPIED = "a message of a batch that was copied, one column summed"
CASES = [
    Case(APPENDED, partial(pages.fill, pages.zeros)),
    Case("a new page of a file, fallocate", partial(pages.fill, pages.blocks), False, APPENDED),
    Case("a new page of a file, a hole", partial(pages.fill, pages.holes), False, APPENDED),
    Case(BYTES, partial(payloads.give, "bytes", 32)),
    Case("a handler called with a new memoryview, 32 B", partial(payloads.give, "memoryview", 32), False, BYTES),
    Case(BATCH, partial(polls.poll, "at_once")),
    Case("a look for a message, the GIL let go each time", partial(polls.poll, "one_by_one"), False, BATCH),
    Case(ATTRIBUTE, partial(attributes.read, attributes.Handler)),
    Case("an attribute of one that begins with C fields", partial(attributes.read, attributes.Base), False, ATTRIBUTE),
    Case(CALL, calls.from_c),
    Case("a handler called by a loop in Python over an iterator", calls.from_python, False, CALL),
    Case(COPIED, partial(batches.take, True)),
    Case("a message of a batch that is a view, one column summed", partial(batches.take, False), False, COPIED),
]

if __name__ == "__main__":
    measure("Tried and lost", CASES)
