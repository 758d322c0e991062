"""A stream from one over another to a third."""

from __future__ import annotations

from suite.case import measure
from suite.streams import cases
from suite.topology import PIPELINE

CASES = cases(PIPELINE)

if __name__ == "__main__":
    measure("A message through a pipeline of three, streaming", CASES)
