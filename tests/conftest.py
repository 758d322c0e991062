"""What several folders of tests share: compiled helpers, built against the installed nanobus."""

import importlib
import signal
import subprocess
import sys
from collections.abc import Callable
from importlib.machinery import EXTENSION_SUFFIXES
from pathlib import Path
from types import ModuleType, SimpleNamespace

import pytest

TESTS = Path(__file__).resolve().parent
BUILD_SECONDS = 300  # a build this long hangs

# What a shell runs in the background ignores Ctrl-C, and so would every program that a test starts and interrupts.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def build(source: Path, out: Path) -> dict[str, ModuleType]:
    """Build the Cython modules of a folder into `out`; return them by name, importable in child processes too."""
    run = subprocess.run(
        [sys.executable, str(TESTS / "native" / "build.py"), str(out), str(source)],
        capture_output=True, text=True, timeout=BUILD_SECONDS, check=False,
    )
    if run.returncode:
        pytest.fail(run.stderr, pytrace=False)
    if "warning:" in run.stderr:
        pytest.fail(f"{source} builds with warnings:\n{run.stderr}", pytrace=False)
    sys.path.insert(0, str(out))  # spawned processes get a copy of the path
    names = [path.name.removesuffix(EXTENSION_SUFFIXES[0]) for path in out.glob(f"*{EXTENSION_SUFFIXES[0]}")]
    return {name: importlib.import_module(name) for name in names}


@pytest.fixture(scope="session")
def build_project(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Path], SimpleNamespace]:
    """A function: folder with a meson.build -> namespace of its modules, built once a session."""
    built: dict[Path, SimpleNamespace] = {}

    def project(source: Path) -> SimpleNamespace:
        if source not in built:
            built[source] = SimpleNamespace(**build(source, tmp_path_factory.mktemp(source.name)))
        return built[source]

    return project


@pytest.fixture(scope="session")
def native(build_project: Callable[[Path], SimpleNamespace]) -> ModuleType:
    """The module tests/native/loops.pyx: loops over a bus that run without the GIL."""
    loops: ModuleType = build_project(TESTS / "native").loops
    return loops


@pytest.fixture(scope="session")
def native_layout(build_project: Callable[[Path], SimpleNamespace]) -> ModuleType:
    """The module tests/native/layout.pyx: where the compiler puts the words of the shared structs."""
    layout: ModuleType = build_project(TESTS / "native").layout
    return layout


@pytest.fixture(scope="session")
def record_probe(build_project: Callable[[Path], SimpleNamespace]) -> ModuleType:
    """The module tests/native/record_probe.pyx: a codec of Records, called as the bus and the workers call it."""
    probe: ModuleType = build_project(TESTS / "native").record_probe
    return probe


@pytest.fixture(scope="session")
def native_cores(build_project: Callable[[Path], SimpleNamespace]) -> ModuleType:
    """The module tests/native_cores/native_cores.pyx: native handlers of a user's own."""
    cores: ModuleType = build_project(TESTS / "native_cores").native_cores
    return cores
