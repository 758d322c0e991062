"""A stream from one to three, of which each gets every message."""

from __future__ import annotations

from suite.case import measure
from suite.streams import cases
from suite.topology import ONE_TO_THREE

CASES = cases(ONE_TO_THREE)

if __name__ == "__main__":
    measure("A message from one to three, streaming", CASES)
