"""Run the suite: `python perf/run.py --quick -o FOLDER`, or `--full`.

Writes into FOLDER:

    suite.json          every benchmark, for pyperf: `python -m pyperf compare_to old/suite.json new/suite.json`
    report.md           the same as a table, with floors and rivals beside
    *.png               throughput against size, topologies, latency, cost against readers and writers
    machine.json        what it ran on

`--report -o FOLDER` writes the table and the pictures anew, from what is in FOLDER.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

import pyperf

import native
from suite import charts, figures, machine, report
from suite.budget import BUDGETS

HERE = Path(__file__).resolve().parent
RUNNERS = (
    "floors", "write_read", "bus_write", "dispatch", "readers_writers", "journal", "sync", "replay",
    "one_to_one", "one_to_three", "three_to_one", "pipeline", "diamond", "ping_pong", "latency", "shards", "startup",
    "tried_and_lost",
)  # fmt: skip
TOO_LONG = 3600                             # seconds for one runner


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    how = parser.add_mutually_exclusive_group(required=True)
    helps = {"quick": "what matters: 3 minutes, where nothing else runs", "full": "everything: 45 minutes"}
    for budget, text in helps.items():
        how.add_argument(f"--{budget}", dest="budget", action="store_const", const=budget, help=text)
    how.add_argument("--tiny", dest="budget", action="store_const", const="tiny", help=argparse.SUPPRESS)
    how.add_argument("--report", action="store_true", help="only the report and the charts, of a run that was")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FOLDER")
    parser.add_argument("--only", nargs="+", choices=RUNNERS, default=RUNNERS, metavar="RUNNER", help="some of them")
    arguments = parser.parse_args()
    folder: Path = arguments.output
    failed = []
    if not arguments.report:
        folder.mkdir(parents=True, exist_ok=True)
        if (folder / "suite.json").exists():
            parser.error(f"{folder} holds a run already")
        failed = run(folder, arguments.budget, arguments.only)
    show(folder)
    for name in failed:
        print(f"failed: {name}.py", file=sys.stderr)
    return 1 if failed else 0


def run(folder: Path, budget: str, runners: list[str]) -> list[str]:
    """Run each runner in a process of its own; return the names of those that failed."""
    native.load("streams")                  # built before anything is measured
    known = machine.describe()
    suites, remarks, failed, began = [], [], [], time.monotonic()
    for name in runners:
        print(f"{time.monotonic() - began:6.0f} s  {name}", flush=True)
        part = folder / f"{name}.json"
        command = [sys.executable, str(HERE / f"{name}.py"), "--budget", budget, "-o", str(part)]
        if name != "latency":
            command += [*BUDGETS[budget].options(), "--quiet"]
        done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=TOO_LONG)
        lines = done.stdout.splitlines()
        remarks += [line for line in lines if line.startswith("not measured: ")]
        if done.returncode:
            failed.append(name)
            remarks.append(f"failed: {name}.py, exit status {done.returncode}")
            print(done.stdout + done.stderr, file=sys.stderr)
        if part.exists():
            suites += list(pyperf.BenchmarkSuite.load(str(part)))
            part.unlink()
    pyperf.BenchmarkSuite(suites).dump(str(folder / "suite.json"))
    known["took"] = f"{time.monotonic() - began:.0f} s, {budget}"
    (folder / "machine.json").write_text(json.dumps({"machine": known, "remarks": remarks}, indent=1) + "\n")
    return failed


def show(folder: Path) -> None:
    """Write the report and the charts of what is in a folder."""
    found = figures.read(pyperf.BenchmarkSuite.load(str(folder / "suite.json")))
    about = json.loads((folder / "machine.json").read_text())
    drawn = charts.draw(found, folder)
    (folder / "report.md").write_text(report.write(found, about["machine"], about["remarks"], drawn))
    print(f"{folder / 'report.md'}, {len(found)} figures, {', '.join(drawn)}")


if __name__ == "__main__":
    sys.exit(main())
