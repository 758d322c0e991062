"""A process is killed at every step it takes with a journal, and the recovery after it, too; or with a bus that another
process has open meanwhile."""

import json
import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

from nanobus.journal.journal import COUNTS_STEPS

sys.path.insert(0, str(Path(__file__).parent))

from witness_sweep import Sweep

pytestmark = pytest.mark.skipif(not COUNTS_STEPS, reason="needs a build with -Csetup-args=-Dsteps=true")

# Of the steps of each recovery every how manieth is killed at, beginning elsewhere each time: 1 takes an hour.
STRIDE = int(os.environ.get("NANOBUS_SWEEP_STRIDE", "61"))
# The same of the steps before the eyes of a witness, where there are hundreds of them.
WITNESS_STRIDE = int(os.environ.get("NANOBUS_WITNESS_STRIDE", "7"))


@pytest.mark.parametrize("work", ["write_none", "write_commit", "overtake", "keep"])
def test_journal_keeps_what_returned_wherever_a_process_is_killed(folder, work):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).parent / "kill_sweep.py"), str(folder), work, str(STRIDE)],
        capture_output=True, text=True, timeout=1500,
    )
    assert run.returncode == 0, run.stderr + run.stdout
    figures = json.loads(run.stdout)
    print(work, figures)
    assert figures["kills"] == figures["steps"] > 50
    assert figures["recovery_kills"] > figures["kills"] // 4


# The kills there are at least: half of what was seen.
RING = {
    "make": 8, "attach": 9, "inherit": 9, "write": 34, "write_checked": 40, "write_batch": 20,
    "write_batch_unread": 20, "lap": 195, "register": 23, "park": 94, "wake_writers": 12, "seal": 21, "reap": 18,
    "adopt": 8, "hold": 24, "flush": 84,
}
JOURNAL = {
    "attach": 10, "write": 37, "write_batch": 20, "write_batch_unread": 20, "register": 17, "park": 17, "seal": 17,
    "reap": 14, "adopt": 7, "hold": 19,
}
FEWEST_OF_THE_LONG = 80


@pytest.mark.parametrize(
    ("kind", "work", "fewest"),
    [("ring", *one) for one in RING.items()] + [("journal", *one) for one in JOURNAL.items()],
)
def test_witness_goes_on_wherever_a_process_is_killed(folder, kind, work, fewest):
    stride = WITNESS_STRIDE if fewest >= FEWEST_OF_THE_LONG else 1
    first = random.randint(1, stride)
    run = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).parent / "witness_sweep.py"), str(folder), kind, work,
         str(stride), str(first)],
        capture_output=True, text=True, timeout=1500,
    )
    assert run.returncode == 0, run.stderr + run.stdout
    figures = json.loads(run.stdout)
    print(kind, work, figures)
    assert figures["kills"] >= fewest // stride


@pytest.mark.parametrize(("stride", "kills"), [(1, 4), (2, 2)])
def test_sweep_goes_on_behind_runs_that_took_fewer_steps(tmp_path, stride, kills):
    tried = []

    class Unsteady(Sweep):
        def run(self, work, kill_at):
            tried.append(kill_at)
            return kill_at in (1, 2, 4, 7)

    sweep = Unsteady(tmp_path, "ring")
    sweep.sweep("lap", stride, 1)
    assert tried == list(range(1, 7 + 3 * stride + 1, stride))
    assert sweep.figures["kills"] == kills
    assert (sweep.figures["stride"], sweep.figures["first"]) == (stride, 1)
