"""The native loops of tests/native, built once against the installed nanobus, for the runners here."""

from __future__ import annotations

import hashlib
import importlib
import subprocess
import sys
from pathlib import Path
from types import ModuleType

import nanobus

ROOT = Path(__file__).resolve().parents[1]
SOURCES = ROOT / "tests" / "native"


def load(name: str) -> ModuleType:
    """Import a module of tests/native, built before if its sources or the installed nanobus changed since."""
    installed = Path(nanobus.__file__).parent
    state = [f"{path}{path.stat().st_mtime_ns}" for path in sorted([*SOURCES.glob("*.pyx"), *installed.rglob("*.pxd")])]
    tag = hashlib.sha256("".join([sys.executable, *state]).encode()).hexdigest()[:12]
    out = ROOT / "build" / f"native-{sys.implementation.cache_tag}-{tag}"
    if not list(out.glob(f"{name}.*.so")):
        subprocess.run([sys.executable, str(SOURCES / "build.py"), str(out)], check=True, stdout=subprocess.DEVNULL)
    sys.path.insert(0, str(out))
    return importlib.import_module(name)
