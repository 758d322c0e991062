"""A stream from one to one."""

from __future__ import annotations

from suite.case import measure
from suite.streams import cases
from suite.topology import ONE_TO_ONE

CASES = cases(ONE_TO_ONE, every_size=True)

if __name__ == "__main__":
    measure("A message from one to one, streaming", CASES)
