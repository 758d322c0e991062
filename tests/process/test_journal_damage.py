"""A journal damaged at every byte and every length, and robbed of its power: what is read is what was written.

Each sweep is a process of its own, so that a crash or a hang is seen as what it is.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

# Of the bytes and lengths where all is zero every how manieth is damaged; and how many seeds of power losses there are.
STRIDE = int(os.environ.get("NANOBUS_DAMAGE_STRIDE", "16"))
ROUNDS = int(os.environ.get("NANOBUS_POWER_LOSSES", "150"))


def run(script, folder, *arguments):
    case = folder / "case"
    process = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).parent / script), str(folder), *map(str, arguments)],
        capture_output=True, text=True, timeout=1200,
    )
    assert process.returncode == 0, (case.read_text() if case.exists() else "") + process.stderr[-4000:]
    figures = json.loads(process.stdout)
    print(script, *arguments, figures)
    return figures


@pytest.mark.parametrize("kind", ["flip", "cut"])
def test_damaged_journal_shows_its_sound_messages_or_refuses_by_name(tmp_path, kind):
    figures = run("corruption_sweep.py", tmp_path, kind, STRIDE)
    assert figures["damages"] > 7_000
    assert figures["refused"] + figures["whole"] + figures["prefix"] + figures["skipped_one"] == figures["damages"]


def test_power_loss_takes_nothing_that_was_promised_and_leaves_no_ghost(tmp_path):
    figures = run("power_loss.py", tmp_path, 1, ROUNDS)
    assert figures["power_losses"] >= ROUNDS
    assert figures["pages_lost"] > ROUNDS
    assert figures["messages_cut"] > 0
    assert figures["cuts_reported"] > 0
