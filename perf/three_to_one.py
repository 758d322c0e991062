"""Streams from three to one."""

from __future__ import annotations

from suite.case import measure
from suite.streams import cases
from suite.topology import THREE_TO_ONE

CASES = cases(THREE_TO_ONE)

if __name__ == "__main__":
    measure("A message to one who hears three, streaming", CASES)
