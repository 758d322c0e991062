"""A process is killed at every step it takes with a journal, and the recovery after it, too; or with a bus that another
process has open meanwhile."""

import json
import os
import subprocess
import sys
import tempfile
from pathlib import Path

import pytest

from nanobus.journal.journal import COUNTS_STEPS

pytestmark = pytest.mark.skipif(not COUNTS_STEPS, reason="needs a build with -Csetup-args=-Dsteps=true")

# Of the steps of each recovery every how manieth is killed at, beginning elsewhere each time: 1 takes an hour.
STRIDE = int(os.environ.get("NANOBUS_SWEEP_STRIDE", "61"))


@pytest.fixture
def folder():
    """In memory where that can be had: what is swept is the order of steps, not the disk."""
    with tempfile.TemporaryDirectory(dir="/dev/shm" if os.path.isdir("/dev/shm") else None) as path:
        yield path


@pytest.mark.parametrize("work", ["write_none", "write_commit", "overtake", "keep"])
def test_journal_keeps_what_returned_wherever_a_process_is_killed(folder, work):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).parent / "kill_sweep.py"), folder, work, str(STRIDE)],
        capture_output=True, text=True, timeout=1500,
    )
    assert run.returncode == 0, run.stderr + run.stdout
    figures = json.loads(run.stdout)
    print(work, figures)
    assert figures["kills"] == figures["steps"] > 50
    assert figures["recovery_kills"] > figures["kills"] // 4


RING = [
    "make", "attach", "inherit", "write", "write_checked", "lap", "register", "park", "wake_writers", "seal", "reap",
    "adopt", "hold", "flush",
]
JOURNAL = ["attach", "write", "register", "park", "seal", "reap", "adopt", "hold"]


@pytest.mark.parametrize(
    ("kind", "work"), [("ring", work) for work in RING] + [("journal", work) for work in JOURNAL]
)
def test_witness_goes_on_wherever_a_process_is_killed(folder, kind, work):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).parent / "witness_sweep.py"), folder, kind, work],
        capture_output=True, text=True, timeout=1500,
    )
    assert run.returncode == 0, run.stderr + run.stdout
    figures = json.loads(run.stdout)
    print(kind, work, figures)
    assert figures["kills"] > 10
