"""A stream from one over two at the same time to a fourth, who gets each message twice."""

from __future__ import annotations

from suite.case import measure
from suite.streams import cases
from suite.topology import DIAMOND

CASES = cases(DIAMOND)

if __name__ == "__main__":
    measure("A message through a diamond of four, streaming", CASES)
