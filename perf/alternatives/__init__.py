"""What was tried and lost to what the library does: kept so that it can be tried again, on another machine or kernel.

    attributes.py      where handlers keep what they send with
    batches.py         what a handler of batches is given
    calls.py           who calls a handler
    pages.py           where a growing file gets its pages from, before they are written through a mapping
    payloads.py        what a handler of raw bytes is given
    polls.py           how often a loop lets go of the GIL

`tried_and_lost.py` measures all of them, each beside what is done instead.
"""
