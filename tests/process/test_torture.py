"""Writers and readers that are killed at random, every few milliseconds: torture.py, and whether its judge bites."""

import json
import os
import random
import socket
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

sys.path.insert(0, str(Path(__file__).parent))

from torture_actors import CAPACITY, ReaderLife
from torture_judge import Judge
from torture_notes import NEVER, Notes, Slice, mark_of, plain_payload

SECONDS = float(os.environ.get("NANOBUS_TORTURE_SECONDS", "4"))  # of each bus; 300 by hand


@pytest.mark.parametrize("bus", ["ring", "journal"])
def test_nothing_is_lost_doubled_torn_or_stuck_under_torture(bus):
    run = subprocess.run(
        [sys.executable, "-W", "ignore", str(Path(__file__).parent / "torture.py"), "--bus", bus,
         "--seconds", str(SECONDS)],
        capture_output=True, text=True, timeout=SECONDS + 200,
    )
    assert run.returncode == 0, run.stderr + run.stdout
    figures = json.loads(run.stdout)
    print(figures)
    assert figures["violations"] == []
    assert figures["kills"] > 10
    assert figures["messages"] > figures["kills"]
    assert figures["slices"] > 0


@contextmanager
def judge_of(path):
    ours, theirs = socket.socketpair()
    with ours, theirs:
        judge = Judge(path, Notes(), theirs)
        with judge.bus:
            yield judge


@pytest.fixture
def judge(tmp_path):
    with judge_of(tmp_path / "a.ring") as judge:
        yield judge


@pytest.fixture
def journals_judge(tmp_path):
    with judge_of(tmp_path / "a.journal") as judge:
        yield judge


def write(judge, *numbers):
    return [judge.bus.write(1, 1, plain_payload(1, number, 10)) for number in numbers]


@pytest.mark.parametrize(
    ("numbers", "doubts", "found"),
    [
        ([1, 2, 3], [], []),
        ([1, 3], [2], []),
        ([1, 4], [3], ["lost: [2] of writer 1"]),
        ([1, 2, 2], [], ["duplicate: 2 of writer 1 after 2"]),
        ([1, 3, 2], [2], ["duplicate: 2 of writer 1 after 3"]),
        ([1, NEVER + 1], [], [f"duplicate: {NEVER + 1} of writer 1"]),
    ],
)
def test_judge_finds_what_is_lost_or_comes_again(judge, numbers, doubts, found):
    for number in doubts:
        judge.note_death(writer=1, tried=number, acknowledged=number - 1)
    write(judge, *numbers)
    judge.look()
    assert [one.split(" in all")[0][: len(two)] for one, two in zip(judge.violations, found, strict=True)] == found


def test_judge_finds_what_is_torn(judge):
    payload = bytearray(plain_payload(1, 1, 100))
    payload[50] ^= 1
    judge.bus.write(1, 1, payload)
    judge.bus.write(2, 1, plain_payload(1, 1, 100))
    judge.look()
    assert [one[:28] for one in judge.violations] == ["torn: a torn message 1 of 11", "torn: a message of 1 with th"]


def test_judge_finds_an_acknowledged_message_that_is_not_there(judge):
    judge.notes.acknowledge(1, 2)
    write(judge, 1)
    judge.look()
    assert judge.final_figures()["violations"] == ["lost: writer 1 was told of 2, seen 1"]


@pytest.mark.parametrize("left_out", [None, 0, 1, 2])
def test_judge_finds_what_a_reader_did_not_see(judge, left_out):
    positions = write(judge, 1, 2, 3)
    seen = [position for at, position in enumerate(positions) if at != left_out]
    total = sum(mark_of(position) for position in seen)
    judge.slices.append(("newest", 1, Slice(positions[0], judge.bus.head, seen[-1], len(seen), total)))
    judge.look()
    # What a reader misses behind all it has seen, its next life or the rest will show.
    assert bool(judge.violations) == (left_out in (0, 1))


@pytest.mark.parametrize(("begins_behind", "is_wrong"), [(0, True), (1, False), (2, False), (3, True)])
def test_judge_finds_a_place_that_was_handed_on_wrongly(judge, begins_behind, is_wrong):
    positions = write(judge, 1, 2, 3, 4)
    one_seen = Slice(positions[0], positions[1], positions[0], 1, mark_of(positions[0]))
    at = positions[begins_behind]
    judge.slices += [("placed", 0, one_seen), ("placed", 0, Slice(at, at, 0, 0, 0))]
    judge.look()
    assert bool(judge.violations) == is_wrong


@pytest.mark.parametrize(
    ("mode", "first_lost", "is_wrong"),
    [
        ("observing", 128, False), ("lagging", 128, False), ("placed", 0, True), ("named", 0, True),
        *[(mode, *one) for mode in ("newest", "oldest", "resumed") for one in [(0, False), (64, True), (128, True)]],
    ],
)
def test_judge_finds_a_gap_told_to_a_reader_everybody_waits_for(judge, mode, first_lost, is_wrong):
    judge.notes.note_gap(1, first_lost, 64)
    judge.note_end(reader=1, mode=mode, life=1, seen=None, gap=judge.notes.gap_of(1))
    assert bool(judge.violations) == is_wrong


def test_judge_finds_any_gap_in_a_journal_that_is_not_told_to_who_observes(journals_judge):
    for mode in ("observing", "newest", "oldest", "resumed", "named", "placed"):
        journals_judge.note_end(reader=1, mode=mode, life=1, seen=None, gap=[0, 64])
    assert [one.split()[2] for one in journals_judge.violations] == ["newest", "oldest", "resumed", "named", "placed"]


def test_a_reader_that_is_told_of_a_gap_says_so(judge):
    judge.notes.judge_process = os.getpid()
    write(judge, 1)
    judge.reader.read(0)
    life = ReaderLife(judge.path, judge.notes, 1, 1, "observing", 0, random.Random(1))
    began = judge.bus.head
    while judge.bus.head < 3 * CAPACITY:
        write(judge, 1)
        judge.reader.read(0)
    life.run()
    assert judge.notes.gap_of(1) == (began, began)
    judge.notes.forget_life(1)
    assert judge.notes.gap_of(1) is None


def test_judge_finds_what_is_left_behind(judge):
    reader = judge.bus.reader()
    assert "left behind" in judge.final_figures()["violations"][0]
    assert reader.position == 0
