"""What a run was made on: figures of two machines, or of two builds, do not compare."""

from __future__ import annotations

import json
import os
import platform
import re
import subprocess
import sys
from datetime import datetime
from importlib import metadata
from pathlib import Path

import nanobus
from nanobus.bus import circular

import native

PACKAGES = ("nanobus", "msgspec", "iceoryx2", "faster-fifo", "pyzmq", "pyperf", "hdrhistogram", "matplotlib", "cython")


def describe() -> dict[str, str]:
    """Return what is to be known, in the order of the report."""
    return {
        "date": datetime.now().astimezone().isoformat(" ", "minutes"),
        "processor": f"{processor()}, {os.cpu_count()} of them here",
        "caches": caches(),
        "kernel": f"{platform.system()} {platform.release()}, {platform.machine()}",
        "load before": "{:.1f} {:.1f} {:.1f} (1, 5 and 15 minutes)".format(*os.getloadavg()),
        "Python": f"{platform.python_implementation()} {platform.python_version()}, {python_build()}",
        "nanobus": built(),
        "native loops": loops(),
        "packages": ", ".join(f"{name} {version(name)}" for name in PACKAGES),
        "commit": commit(),
    }


def processor() -> str:
    try:
        found = re.search(r"^model name\s*: (.+)$", Path("/proc/cpuinfo").read_text(), re.MULTILINE)
    except OSError:
        found = None
    return found[1] if found else platform.processor() or "unknown"


def caches() -> str:
    folder = Path("/sys/devices/system/cpu/cpu0/cache")
    found = []
    for one in sorted(folder.glob("index*")):
        level, kind, size = ((one / name).read_text().strip() for name in ("level", "type", "size"))
        found.append(f"L{level} {kind.lower()} {size}")
    return ", ".join(found) or "unknown"


def python_build() -> str:
    gil = "free-threaded" if not getattr(sys, "_is_gil_enabled", lambda: True)() else "with the GIL"
    return f"{gil}, {platform.python_compiler()}"


def built() -> str:
    """Say what compiled nanobus: compilers leave their name in what they make, but not with which options."""
    path = Path(circular.__file__)
    compilers = {one.decode() for one in re.findall(rb"(?:GCC: \([^)]*\)|clang version) [\d.]+", path.read_bytes())}
    installed = "an editable install: NOT TO BE MEASURED" if "site-packages" not in nanobus.__file__ else "installed"
    return f"{version('nanobus')}, {installed}, {', '.join(sorted(compilers)) or 'compiler unknown'}"



def loops() -> str:
    """Return the build options of the loops that are compiled here."""
    folder = Path(native.load("streams").__file__ or "").parent / "meson-info"
    options = {one["name"]: one["value"] for one in json.loads((folder / "intro-buildoptions.json").read_text())}
    names = ("buildtype", "optimization", "debug", "b_ndebug", "c_args", "c_std")
    return ", ".join(f"{name}={options[name]}" for name in names if name in options)


def version(package: str) -> str:
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        return "not installed"


def commit() -> str:
    command = ["git", "-C", str(native.ROOT), "describe", "--always", "--dirty"]
    try:
        return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()
    except (OSError, subprocess.CalledProcessError):
        return "unknown"
