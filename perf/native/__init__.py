"""The compiled loops of the suite: Cython modules against the .pxd files of the installed nanobus, built on first use.

    floors.pyx         what any bus has to pay: a copy, a compare-and-swap, a cache line there and back
    calls.pyx          the bare call of a Python method from C
    streams.pyx        loops over writers and readers that run without the GIL
    tried.pyx          the compiled half of alternatives/
"""

from __future__ import annotations

import fcntl
import hashlib
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nanobus

HERE = Path(__file__).resolve().parent
ROOT = HERE.parents[1]


def load(name: str) -> ModuleType:
    """Import one of them, built before if a source of theirs or the installed nanobus changed since."""
    installed = Path(nanobus.__file__).parent
    state = [f"{path}{path.stat().st_mtime_ns}" for path in sorted([*HERE.glob("*.pyx"), *installed.rglob("*.pxd")])]
    tag = hashlib.sha256("".join([sys.executable, *state]).encode()).hexdigest()[:12]
    out = ROOT / "build" / f"perf-{sys.implementation.cache_tag}-{tag}"
    if not all(list(out.glob(f"{one.stem}.*.so")) for one in HERE.glob("*.pyx")):
        build = ROOT / "tests" / "native" / "build.py"
        out.parent.mkdir(exist_ok=True)
        with open(f"{out}.lock", "w") as lock:          # others who find nothing wait, and then build nothing
            fcntl.flock(lock, fcntl.LOCK_EX)
            subprocess.run([sys.executable, str(build), str(out), str(HERE)], check=True, stdout=subprocess.DEVNULL)
    if str(out) not in sys.path:
        sys.path.insert(0, str(out))
    return importlib.import_module(name)
