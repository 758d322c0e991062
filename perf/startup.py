"""Import nanobus, in an interpreter that has just started."""

from __future__ import annotations

import subprocess
import sys
from functools import partial

from suite.case import Case, measure

TIMED = "import time; began = time.perf_counter(); {}; print(time.perf_counter() - began)"
STANDARD = "dataclasses, datetime, json, logging, pathlib, threading"
IMPORTS = {
    "import nanobus": "import nanobus",
    "import of a ring": "from nanobus import CircularBus",
    "import of every name": "from nanobus import *",
    "import of their part of the standard library": f"import {STANDARD}",
}


def take(statement: str, count: int) -> float:
    command = [sys.executable, "-I", "-c", TIMED.format(statement)]
    return sum(float(subprocess.run(command, check=True, capture_output=True).stdout) for _ in range(count))


CASES = [Case(name, partial(take, statement), True) for name, statement in IMPORTS.items()]

if __name__ == "__main__":
    measure("Start", CASES)
