"""`nanobus journal info, cat, tail, trace`: what a look shows, and that it changes nothing."""

import json
import os
import subprocess
import sys
import threading
from datetime import UTC, datetime

import pytest

from nanobus import JournalBus
from recorded import Command, read_all, record, segments_of, snapshot
from services import OUTSIDE


@pytest.fixture
def command(capsys):
    return Command(capsys)


@pytest.fixture(scope="module")
def recorded(tmp_path_factory):
    path = tmp_path_factory.mktemp("recorded") / "journal"
    return path, record(path)


def test_cat_shows_every_message_by_name_decoded(command, recorded):
    path, loud = recorded
    rows = command.lines("cat", path)
    assert command.code == 0
    assert [row["position"] for row in rows] == [position for position, _, _ in read_all(path)]
    by_name = {name: [row for row in rows if row["message_name"] == name] for name in ("Reading", "Average", "Alarm")}
    assert {name: len(found) for name, found in by_name.items()} == {"Reading": 200, "Average": 200, "Alarm": 2}
    assert [row["position"] for row in by_name["Reading"] if row["payload"]["value"] == 100.0] == loud
    assert by_name["Alarm"][0]["payload"] == {"text": "50.0 is high"}
    assert by_name["Alarm"][0]["source_name"] == "Watcher"
    assert by_name["Average"][0]["payload"] == {"value": by_name["Reading"][0]["payload"]["value"] / 2}
    assert by_name["Average"][0]["cause"] == by_name["Reading"][0]["position"]
    time = datetime.fromisoformat(rows[0]["time"])
    assert int(time.timestamp()) == rows[0]["timestamp"] // 10**9


def test_cat_prints_a_line_a_message(command, recorded):
    path, loud = recorded
    lines = command("cat", path).splitlines()
    assert len(lines) == 402
    [line] = [line for line in lines if line.split()[0] == str(loud[0])]
    assert '{"sensor": "south", "value": 100.0}' in line
    assert f"{OUTSIDE} Reading" in line


@pytest.mark.parametrize("name", ["Watcher", "42"])
def test_cat_filters_by_source(command, recorded, name):
    assert {row["message_name"] for row in command.lines("cat", recorded[0], "--source", name)} == {"Alarm"}


@pytest.mark.parametrize("name", ["Average", "1202"])
def test_cat_filters_by_message(command, recorded, name):
    rows = command.lines("cat", recorded[0], "--message", name, "--limit", "7")
    assert [row["message"] for row in rows] == [1202] * 7


def test_cat_takes_several_names(command, recorded):
    rows = command.lines("cat", recorded[0], "--message", "Alarm", "--message", "Average", "--source", "Watcher")
    assert [row["message_name"] for row in rows] == ["Alarm", "Alarm"]


def test_cat_begins_and_ends_at_positions(command, recorded):
    positions = [row["position"] for row in command.lines("cat", recorded[0])]
    chosen = command.lines("cat", recorded[0], "--from", positions[100], "--until", positions[110])
    assert [row["position"] for row in chosen] == positions[100:110]
    between = command.lines("cat", recorded[0], "--from", positions[100] + 1, "--limit", "1")
    assert between[0]["position"] == positions[101]


def test_cat_begins_and_ends_at_times(command, recorded):
    rows = command.lines("cat", recorded[0])
    start = rows[300]["timestamp"] // 1000 * 1000
    until = rows[350]["timestamp"] // 1000 * 1000
    as_text = [datetime.fromtimestamp(time // 1000 / 1e6, UTC).isoformat() for time in (start, until)]
    chosen = command.lines("cat", recorded[0], "--from", as_text[0], "--until", as_text[1])
    begin = next(index for index, row in enumerate(rows) if row["timestamp"] >= start)
    end = next(index for index, row in enumerate(rows) if index >= begin and row["timestamp"] >= until)
    assert chosen == rows[begin:end]


def test_tail_shows_the_last_ones(command, recorded):
    rows = command.lines("cat", recorded[0])
    assert command.lines("tail", recorded[0], "-n", "5") == rows[-5:]
    assert command.lines("tail", recorded[0], "-n", "2", "--message", "Alarm") == [
        row for row in rows if row["message_name"] == "Alarm"
    ]
    assert command.lines("tail", recorded[0], "-n", "10000") == rows


def test_info_says_what_there_is(command, recorded):
    path, _ = recorded
    row = command.row("info", path)
    assert command.code == 0
    assert row["path"] == str(path)
    assert row["head"] == row["committed_end"] > row["tail"] == 0
    assert row["segments"] == len(segments_of(path))
    assert row["segment_size"] == 4096
    assert {one["name"] for one in row["messages"]} == {"Reading", "Average", "Alarm"}
    assert {"id": 42, "name": "Watcher"} in row["sources"]
    assert row["in_flight"] == []
    assert 0 < row["first_time"] <= row["last_time"]
    printed = command("info", path)
    assert f"positions   0 to {row['head']}" in printed
    assert "message      1202  Average, record" in printed


def test_info_shows_cursors_and_who_has_it_open(command, tmp_path):
    with JournalBus(tmp_path / "journal") as bus:
        bus.write(1, 7, b"x")
        with bus.reader("billing") as reader:
            reader.read(0)
            bus.write(1, 7, b"y")
            row = command.row("info", tmp_path / "journal")
            assert row["cursors"] == {"billing": 64}
            assert {(one["role"], one["process"], one["alive"]) for one in row["open"]} == {
                ("writer", os.getpid(), True), ("reader", os.getpid(), True),
            }
            assert "cursor      billing at 64, 64 behind" in command("info", tmp_path / "journal")


def test_trace_shows_a_chain_over_three_handlers(command, recorded):
    path, loud = recorded
    row = command.row("trace", path, loud[0])
    assert [(one["depth"], one["message_name"], one["asked"]) for one in row["messages"]] == [
        (0, "Reading", True), (1, "Average", False), (2, "Alarm", False),
    ]
    alarm = row["messages"][2]["position"]
    assert [(one["depth"], one["position"]) for one in command.row("trace", path, alarm)["messages"]] == [
        (one["depth"], one["position"]) for one in row["messages"]
    ]
    marked = [line for line in command("trace", path, alarm).splitlines() if line.startswith(">")]
    assert len(marked) == 1
    assert "Watcher Alarm" in marked[0]


def test_trace_leaves_out_what_has_other_causes(command, recorded):
    path, loud = recorded
    rows = command.lines("cat", path)
    quiet = next(row["position"] for row in rows if row["message_name"] == "Reading" and row["position"] not in loud)
    shown = command.row("trace", path, quiet)["messages"]
    assert [one["message_name"] for one in shown] == ["Reading", "Average"]


def test_trace_needs_the_position_of_a_message(command, recorded):
    command("trace", recorded[0], "33")
    assert command.code == 2
    assert command.errors == "nanobus: no message that can be read begins at position 33\n"


def test_trace_follows_long_chains(command, tmp_path):
    with JournalBus(tmp_path / "journal") as bus:
        position = bus.write(1, 7, b"")
        for _ in range(3000):
            position = bus.write(1, 7, b"", cause=position)
    row = command.row("trace", tmp_path / "journal", 32 * 1500, "--limit", 5000)
    assert [one["depth"] for one in row["messages"]] == list(range(3001))
    assert row["note"] is None
    some = command.row("trace", tmp_path / "journal", 32 * 1500, "--limit", 10)
    assert len(some["messages"]) == 21
    assert some["note"] == f"more causes before: --limit 10; more effects, from position {32 * 1511} on: --limit 10"


def test_trace_tells_of_each_end_that_its_limit_cuts_off(command, recorded):
    path, loud = recorded
    chain = command.row("trace", path, loud[0], "--limit", 2)
    assert chain["note"] is None
    first, last = chain["messages"][0]["position"], chain["messages"][2]["position"]
    some = command.row("trace", path, first, "--limit", 1)
    assert some["messages"] == chain["messages"][:2]
    assert some["note"] == f"more effects, from position {last} on: --limit 1"
    assert command("trace", path, first, "--limit", 1).splitlines()[-1] == f"  {some['note']}"
    assert command.row("trace", path, last, "--limit", 1)["note"] == "more causes before: --limit 1"


@pytest.mark.parametrize("name", ["cat", "tail", "export"])
@pytest.mark.parametrize("option", ["--from", "--until"])
def test_a_time_where_messages_carry_none_is_refused(command, tmp_path, name, option):
    with JournalBus(tmp_path / "journal", timestamps=False) as bus:
        bus.write(1, 7, b"x")
    output = [tmp_path / "out.jsonl"] if name == "export" else []
    command(name, tmp_path / "journal", *output, option, "2026-01-01")
    assert command.code == 2
    assert command.errors == (
        "nanobus: --from and --until must be positions: the messages of this journal carry no timestamps\n"
    )
    command(name, tmp_path / "journal", *output, option, "0")
    assert command.code == 0


@pytest.mark.parametrize("name", ["info", "cat", "tail", "verify", "export", "trace"])
def test_a_look_changes_nothing_and_needs_no_write_permission(command, recorded, tmp_path, name):
    path, _ = recorded
    before = snapshot(path)
    for one in path.iterdir():
        one.chmod(0o400)
    path.chmod(0o500)
    try:
        arguments = {"trace": ["0"], "export": [str(tmp_path / "out.jsonl")]}.get(name, [])
        command(name, path, *arguments)
    finally:
        path.chmod(0o700)
        for one in path.iterdir():
            one.chmod(0o600)
    assert command.code == 0, command.errors
    assert snapshot(path) == before


def test_a_look_goes_on_while_others_write(command, tmp_path):
    path = tmp_path / "journal"
    stop = threading.Event()
    with JournalBus(path, segment_size=1 << 16) as bus:
        def write():
            for _ in range(200_000):                    # a bound: a slow look must not fill the disk
                bus.write(1, 7, b"x" * 100)
                if stop.wait(0.0001):
                    break

        bus.write(1, 7, b"first")
        writer = threading.Thread(target=write)
        writer.start()
        try:
            for _ in range(5):
                row = command.row("verify", path)
                assert command.code == 0, command.errors
                assert row["damage"] == []
                assert row["messages"] > 0
        finally:
            stop.set()
            writer.join()


DIES_IN_A_CLAIM = """
import os, sys
from nanobus import JournalBus
from recorded import Average
bus = JournalBus(sys.argv[1])
bus.write(1, 7, b"one")
with bus.sender(2).claim(Average):
    bus.write(1, 7, b"two")
    os.kill(os.getpid(), 9)
"""


def test_what_a_dead_writer_claimed_is_passed_and_is_no_damage(command, tmp_path):
    path = tmp_path / "journal"
    environment = dict(os.environ, PYTHONPATH=os.pathsep.join(sys.path))
    subprocess.run([sys.executable, "-c", DIES_IN_A_CLAIM, path], env=environment, timeout=60)
    assert [row["position"] for row in command.lines("cat", path)] == [0, 128]
    assert command.errors == ""
    row = command.row("verify", path)
    assert command.code == 0
    assert row["messages"] == 2
    [claim] = row["in_flight"]
    assert (claim["position"], claim["resumes"]) == (64, 128)
    assert "died" in claim["reason"]
    assert [position for position, _, _ in read_all(path)] == [0, 128]


def test_tail_follows(recorded, tmp_path):
    path = tmp_path / "journal"
    with JournalBus(path, segment_size=4096) as bus:
        bus.write(OUTSIDE, 7, b"before")
        follower = subprocess.Popen(
            [sys.executable, "-m", "nanobus", "journal", "tail", "-f", "--json", str(path)],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )
        watchdog = threading.Timer(60, follower.kill)
        watchdog.start()
        try:
            assert json.loads(follower.stdout.readline())["position"] == 0
            written = [bus.write(OUTSIDE, 7, b"x" * 500) for _ in range(20)]
            seen = [json.loads(follower.stdout.readline())["position"] for _ in written]
            follower.send_signal(2)
            _, errors = follower.communicate()
        finally:
            watchdog.cancel()
            follower.kill()
            follower.wait()
    assert seen == written
    assert follower.returncode == 130
    assert errors == ""


def test_a_reader_of_the_output_that_leaves_is_no_error(recorded):
    run = subprocess.run(
        f"{sys.executable} -m nanobus journal cat {recorded[0]} --json | head -n 1; echo ${{PIPESTATUS[0]}}",
        shell=True, executable="/bin/bash", capture_output=True, text=True, check=True, timeout=60,
    )
    assert run.stderr == ""
    assert len(run.stdout.splitlines()) == 2
    assert run.stdout.splitlines()[1] in ("0", "141")


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["cat"], "the following arguments are required: JOURNAL"),
        (["cat", "x", "--from", "yesterday"], "must be a position or an ISO time, got 'yesterday'"),
        (["cat", "x", "--from", "9999-12-31T23:59:59-12:00"], "must be a position or an ISO time"),
        (["cat", "x", "--until", "0001-01-01T00:00:00+12:00"], "must be a position or an ISO time"),
        (["dance"], "invalid choice: 'dance'"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(command, arguments, text):
    command(*arguments)
    assert command.code == 2
    assert command.errors.startswith("nanobus: ")
    assert text in command.errors
    assert command.errors.count("\n") == 1


@pytest.mark.parametrize("name", ["info", "cat", "tail", "verify", "repair"])
def test_what_is_no_journal_is_exit_code_2(command, tmp_path, name):
    (tmp_path / "file").write_text("no journal")
    for path in (tmp_path, tmp_path / "file", tmp_path / "missing"):
        command(name, path)
        assert command.code == 2
        assert command.errors.startswith("nanobus: ")
        assert command.errors.count("\n") == 1
    assert [one.name for one in tmp_path.iterdir()] == ["file"]
