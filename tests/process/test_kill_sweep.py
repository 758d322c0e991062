"""A process that works with a journal is killed at every step it takes, and the recovery after it, too."""

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
