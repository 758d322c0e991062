"""The suite of perf/ runs and tells what it measured. Its figures are no business of tests."""

import json
import subprocess
import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

PERF = Path(__file__).resolve().parents[1] / "perf"
RUNNERS = (
    "floors", "write_read", "dispatch", "readers_writers", "journal", "one_to_one", "diamond", "ping_pong", "latency",
)
RIVALS = ("zmq", "faster_fifo", "iceoryx2")
TIMEOUT = 600

pytestmark = pytest.mark.skipif(
    not all(map(find_spec, ("hdrh", "matplotlib", "msgspec", "pyperf"))), reason="perf/ needs packages that lack here"
)


@pytest.fixture
def modules(monkeypatch: pytest.MonkeyPatch) -> Iterator[SimpleNamespace]:
    monkeypatch.syspath_prepend(PERF)
    from suite import figures, report, topology

    yield SimpleNamespace(figures=figures, report=report, topology=topology)
    for name in [one for one in sys.modules if one.split(".")[0] in ("suite", "peers", "native")]:
        del sys.modules[name]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where one run of the smallest budget left what it found."""
    folder = tmp_path_factory.mktemp("run")
    command = [sys.executable, str(PERF / "run.py"), "--tiny", "-o", str(folder), "--only", *RUNNERS]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stdout + done.stderr
    return folder


def test_a_run_leaves_one_suite_that_pyperf_compares(folder: Path) -> None:
    suite = str(folder / "suite.json")
    names = {one["metadata"]["name"] for one in json.loads(Path(suite).read_text())["benchmarks"]}
    assert {"bare call of a handler", "ping_pong, native, ring, spin, threads, 32 B"} <= names
    assert any(name.startswith("one_to_one, handlers, Record") for name in names)
    assert any(name.startswith("latency, a handler answers") for name in names)
    command = [sys.executable, "-m", "pyperf", "compare_to", suite, suite, "--table"]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 0, done.stderr


def test_a_run_leaves_a_table_of_all_its_figures(folder: Path) -> None:
    report = (folder / "report.md").read_text()
    suite = json.loads((folder / "suite.json").read_text())
    for one in suite["benchmarks"]:
        if not one["metadata"]["name"].startswith("latency"):
            assert f"| {one['metadata']['name']} |" in report
    assert "x bare call of a handler |" in report
    assert "| a handler answers, block, 1000/s |" in report
    for known in ("processor", "kernel", "nanobus", "native loops"):
        assert f"| {known} |" in report


def test_a_run_leaves_its_charts(folder: Path) -> None:
    report = (folder / "report.md").read_text()
    for name in ("throughput.png", "topologies.png", "latency.png", "readers_writers.png"):
        assert (folder / name).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")
        assert f"]({name})" in report


def test_a_rival_that_is_not_installed_is_named(folder: Path) -> None:
    remarks = "\n".join(json.loads((folder / "machine.json").read_text())["remarks"])
    for module in RIVALS:
        assert (f"for {module} is not installed" in remarks) == (find_spec(module) is None)


def test_a_folder_that_holds_a_run_is_left_as_it_is(folder: Path) -> None:
    before = (folder / "suite.json").read_bytes()
    command = [sys.executable, str(PERF / "run.py"), "--tiny", "-o", str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=TIMEOUT, check=False)
    assert done.returncode == 2
    assert "holds a run already" in done.stderr
    assert (folder / "suite.json").read_bytes() == before


def test_every_sink_gets_all_that_its_sources_send(modules: Any) -> None:
    shares = {
        topology.name: [topology.share(place, 100) for place in range(len(topology.nodes))]
        for topology in vars(modules.topology).values()
        if isinstance(topology, modules.topology.Topology)
    }
    assert shares == {
        "one_to_one": [100, 100],
        "one_to_three": [100, 100, 100, 100],
        "three_to_one": [34, 33, 33, 100],
        "pipeline": [100, 100, 100],
        "diamond": [100, 100, 100, 200],
    }


def test_a_figure_is_shown_as_a_multiple_of_what_stands_beside_it(modules: Any) -> None:
    floor = modules.figures.Figure("a call", "Floors", 2e-8, 0.0, {}, [])
    ours = modules.figures.Figure("a message", "Ours", 3e-8, 0.125, {"beside": "a call", "bytes": 32}, [])
    lost = modules.figures.Figure("another", "Ours", 2e-3, 0.0, {"beside": "what was not measured"}, [])
    table = modules.report.write([floor, ours, lost], {}, ["not measured: a rival"], [])
    assert "| a message | 30.0 ns | 12% | 33.3 M | 1,067 | 1.50 x a call |" in table
    assert "| another | 2.00 ms | 0% | 500 |  |  |" in table
    assert "- not measured: a rival" in table
