"""A journal damaged at every byte and every length, and robbed of its power: what is read is what was written.

Each sweep is a process of its own, so that a crash or a hang is seen as what it is.
"""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from nanobus import JournalBus

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


@pytest.mark.parametrize("kind", ["flip", "cut", "flip_killed"])
def test_damaged_journal_shows_its_sound_messages_or_refuses_by_name(folder, kind):
    figures = run("corruption_sweep.py", folder, kind, STRIDE)
    assert figures["damages"] > (500 if kind == "flip_killed" else 7_000)
    assert figures["refused"] + figures["whole"] + figures["prefix"] + figures["skipped_one"] == figures["damages"]


def test_power_loss_takes_nothing_that_was_promised_and_leaves_no_ghost(folder):
    figures = run("power_loss.py", folder, 1, ROUNDS)
    assert figures["power_losses"] >= ROUNDS
    assert figures["pages_lost"] > ROUNDS
    assert figures["messages_cut"] > 0
    assert figures["cuts_reported"] > 0
    assert figures["removals_undone"] > 0


@pytest.mark.parametrize("at", [448, 452], ids=["writers", "readers"])
def test_impossible_count_of_lines_is_put_right_by_a_program_that_has_not_seen_the_journal(tmp_path, at):
    with JournalBus(tmp_path / "journal", segment_size=4096) as bus:
        bus.write(1, 1, b"kept")
    with (tmp_path / "journal" / "control").open("r+b") as file:
        file.seek(at)
        file.write(b"\xff" * 4)
    code = "import sys, nanobus; print(nanobus.JournalBus(sys.argv[1]).read(0).payload)"
    process = subprocess.run(
        [sys.executable, "-c", code, tmp_path / "journal"], capture_output=True, text=True, timeout=60
    )
    assert (process.returncode, process.stdout) == (0, "b'kept'\n"), process.stderr
