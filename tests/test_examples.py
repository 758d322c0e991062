"""The examples run as a user runs them: each in a process of its own, in a folder of its own, warnings being errors.

What an example's `main` asserts of its result is not repeated here: it would exit with 1.
"""

import importlib.util
import json
import os
import pty
import re
import signal
import struct
import subprocess
import sys
import threading
import time
from collections import Counter
from pathlib import Path
from typing import Any

import psutil
import pytest

from nanobus import JournalBus

EXAMPLES = Path(__file__).parents[1] / "examples"
TIMEOUT = 60
NAMES = {"native_cython", "native_numba", "ping_pong", "protobuf", "telemetry", "two_programs", "zero_copy"}
WITHOUT_MSGSPEC = {"native_cython", "native_numba", "protobuf", "zero_copy"}
BUILDING = 300  # seconds for an example that compiles something first


def command(name: str, *arguments: str | Path) -> list[str]:
    if name not in WITHOUT_MSGSPEC:
        pytest.importorskip("msgspec")
    return [sys.executable, "-W", "error", str(EXAMPLES / name / "main.py"), *map(str, arguments)]


def run(folder: Path, name: str, *arguments: str | Path, timeout: float = TIMEOUT) -> str:
    """Run an example to its good end in `folder`; return what it printed."""
    done = subprocess.run(command(name, *arguments), cwd=folder, timeout=timeout, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stderr == ""
    return done.stdout


def size_of_png(path: Path) -> tuple[int, int]:
    """Return (width, height) in pixels of a PNG that is whole, as far as its first and last bytes tell."""
    picture = path.read_bytes()
    assert picture.startswith(b"\x89PNG\r\n\x1a\n")
    assert picture.endswith(b"IEND\xaeB`\x82")
    width, height = struct.unpack(">II", picture[16:24])
    return width, height


def test_every_example_is_run_here() -> None:
    assert {main.parent.name for main in EXAMPLES.glob("*/main.py")} == NAMES


@pytest.mark.parametrize("name", sorted(NAMES))
def test_an_example_has_messages_handlers_and_a_main_that_says_how_to_run_it(name: str) -> None:
    for file in ("messages.py", "handlers.py", "main.py"):
        assert (EXAMPLES / name / file).read_text().startswith('"""')
    assert f"    python examples/{name}/main.py" in (EXAMPLES / name / "main.py").read_text()


def test_ping_pong_ends_by_itself_with_the_last_message_heard_by_all(tmp_path: Path) -> None:
    printed = run(tmp_path, "ping_pong")
    assert "10000 pings, 9999 pongs" in printed
    assert "C heard all 19999 of them, the last was 'Ping 10000'" in printed


def test_a_handler_of_a_users_own_cython_module_is_built_and_decides(tmp_path: Path) -> None:
    printed = run(tmp_path, "native_cython", timeout=BUILDING)
    assert "17525 of 20000 orders were accepted" in printed
    assert list(tmp_path.iterdir()) == []


def test_a_handler_that_numba_compiles_makes_bars_of_trades(tmp_path: Path) -> None:
    printed = run(tmp_path, "native_numba", timeout=BUILDING)
    if importlib.util.find_spec("numba") is None:
        assert printed == "there is no numba for this Python: nothing to show\n"
    else:
        assert "25500 trades made 26 bars, the last of 500 trades" in printed


def test_protobuf_classes_travel_between_workers(tmp_path: Path) -> None:
    printed = run(tmp_path, "protobuf")
    assert "BUY 10 ACME at 98.75" in printed
    assert "6 quotes, 3 orders" in printed


def test_two_programs_lose_no_order_to_a_killed_kitchen(tmp_path: Path) -> None:
    printed = run(tmp_path, "two_programs")
    assert printed.count(" was killed") == 2
    assert "50 orders, 50 meals, each of them once and in order" in printed
    assert list(tmp_path.iterdir()) == []


def test_zero_copy_records_are_read_in_place_and_kept(tmp_path: Path) -> None:
    printed = run(tmp_path, "zero_copy")
    assert "100 blocks of 1056 bytes, the loudest is 63" in printed
    assert ("numpy" in printed) == (importlib.util.find_spec("numpy") is not None)


def test_telemetry_sums_up_and_draws_what_it_measured(tmp_path: Path) -> None:
    chart = tmp_path / "chart.png"
    printed = run(tmp_path, "telemetry", "--seconds", "2", "--interval", "0.1", "--chart", chart)
    for expected in ("cpu 0 ", "memory ", "Smoother  Smoothed", "analysis ", "bus: ", f"chart: {chart}"):
        assert expected in printed
    width, height = size_of_png(chart)
    assert width > 1000
    assert height > 300
    assert list(tmp_path.iterdir()) == [chart]


def test_telemetry_that_had_no_time_for_a_sample_says_so(tmp_path: Path) -> None:
    assert "no samples" in run(tmp_path, "telemetry", "--seconds", "0", "--interval", "600")
    assert list(tmp_path.iterdir()) == []


def test_telemetry_ends_with_tables_and_chart_when_interrupted(tmp_path: Path) -> None:
    process = subprocess.Popen(
        command("telemetry", "--seconds", "600", "--interval", "0.05"),
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    try:
        assert process.stdout is not None
        while "cpu 0 " not in process.stdout.readline():        # until it measures
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert errors == ""
    assert process.returncode == 130
    assert "Smoother  Smoothed" in printed
    assert size_of_png(tmp_path / "telemetry.png")


def look(journal: Path, *arguments: str | Path) -> list[dict[str, Any]]:
    """Return what `nanobus journal` says of a record, in JSON."""
    command = [sys.executable, "-m", "nanobus", "journal", arguments[0], journal, *arguments[1:], "--json"]
    done = subprocess.run(list(map(str, command)), timeout=TIMEOUT, capture_output=True, text=True)
    assert done.returncode == 0, done.stdout + done.stderr
    return [json.loads(line) for line in done.stdout.splitlines()]


def test_telemetry_that_was_recorded_is_replayed_into_the_same_chart(tmp_path: Path) -> None:
    journal, live, again = tmp_path / "journal", tmp_path / "live.png", tmp_path / "again.png"
    run(tmp_path, "telemetry", "--seconds", "2", "--interval", "0.05", "--journal", journal, "--chart", live)
    printed = run(tmp_path, "telemetry", "--replay", journal, "--chart", again)
    assert "the run ended by itself" in printed
    assert again.read_bytes() == live.read_bytes()
    assert "verified: " in run(tmp_path, "telemetry", "--verify", journal)


def next_sampler(process: subprocess.Popen[str], former: set[int]) -> int:
    """Return the id of the sampler's process, once it is another one than the former ones."""
    deadline = time.monotonic() + TIMEOUT
    while time.monotonic() < deadline:
        for child in psutil.Process(process.pid).children():
            if child.pid not in former and "sensing" in child.cmdline():
                return child.pid
        time.sleep(0.01)
    raise AssertionError("no other process came")


def wait_for_samples(journal: Path, source: int) -> None:
    """Return once the sampler has sent more than before."""
    with JournalBus(journal) as bus, bus.reader("newest") as reader:
        while (one := reader.read(TIMEOUT)) is not None and (one.source, one.message_id) != (source, 1):
            pass
    assert one is not None


def test_telemetry_goes_on_when_its_sampler_is_killed_twice_and_its_record_proves_it(tmp_path: Path) -> None:
    journal, live, again = tmp_path / "journal", tmp_path / "live.png", tmp_path / "again.png"
    process = subprocess.Popen(
        command("telemetry", "--seconds", "600", "--interval", "0.02", "--journal", journal, "--chart", live),
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    killed: set[int] = set()
    try:
        for _ in range(2):
            sampler = next_sampler(process, killed)
            wait_for_samples(journal, 1)
            os.kill(sampler, signal.SIGKILL)
            killed.add(sampler)
        next_sampler(process, killed)
        wait_for_samples(journal, 1)
        process.send_signal(signal.SIGINT)
        printed, errors = process.communicate(timeout=TIMEOUT)
    finally:
        process.kill()
    assert process.returncode == 130, errors
    assert errors.count("the process of worker 'sensing' was ended by SIGKILL") == 2, errors
    assert errors.count("is started again") == 2, errors
    assert re.search(r"^sensing( +\d+){4} +2$", printed, re.MULTILINE), printed
    assert re.search(r"^Sampler +Started +3 ", printed, re.MULTILINE), printed

    assert look(journal, "verify")[0]["sound"]
    sent = [one["message_name"] for one in look(journal, "cat", "--source", "Sampler")]
    first, second, third = (at for at, name in enumerate(sent) if name == "Started")
    assert "Sample" in sent[first:second]               # each of them measured
    assert "Sample" in sent[second:third]
    assert [name for name in sent if name != "tick"][-1] == "Finished"
    assert "verified: " in run(tmp_path, "telemetry", "--verify", journal)
    assert "the run ended by itself" in run(tmp_path, "telemetry", "--replay", journal, "--chart", again)
    assert again.read_bytes() == live.read_bytes()


def test_telemetry_killed_in_the_middle_is_replayed_up_to_the_last_message(tmp_path: Path) -> None:
    journal, drawn = tmp_path / "journal", tmp_path / "again.png"
    process = subprocess.Popen(
        command("telemetry", "--seconds", "600", "--interval", "0.02", "--journal", journal),
        cwd=tmp_path, stdout=subprocess.PIPE, text=True,
    )
    try:
        assert process.stdout is not None
        for _ in range(3):
            assert " s " in process.stdout.readline()   # a line a second, and for alerts
        children = psutil.Process(process.pid).children()
    finally:
        process.kill()
        process.communicate()
    assert psutil.wait_procs(children, timeout=TIMEOUT)[1] == []    # the sampler's: it has the journal open
    assert look(journal, "verify")[0]["sound"]
    assert look(journal, "info")[0]["sources"]
    printed = run(tmp_path, "telemetry", "--replay", journal, "--chart", drawn)
    assert "opened after a crash" in printed
    assert "the run was cut off" in printed
    assert size_of_png(drawn)
    assert "verified: " in run(tmp_path, "telemetry", "--verify", journal)

    samples = look(journal, "cat", "--message", "Sample")
    shown = {row[0]: int(row[1]) for row in re.findall(r"^((?:\w+ )*\w+) +(\d+) ", printed, re.MULTILINE)}
    counted = Counter(sample["payload"]["metric"] for sample in samples)
    assert {metric: shown[metric] for metric in counted} == counted
    chain = look(journal, "trace", str(look(journal, "cat", "--message", "Smoothed", "--limit", "1")[0]["position"]))
    assert [row["message_name"] for row in chain[0]["messages"]] == ["tick", "Sample", "Smoothed"]


def refusal(folder: Path, *arguments: str | Path) -> str:
    """Return what telemetry complains of, in one line."""
    done = subprocess.run(
        command("telemetry", *arguments), cwd=folder, timeout=TIMEOUT, capture_output=True, text=True
    )
    assert done.returncode == 1, done.stdout + done.stderr
    assert done.stderr.count("\n") == 1, done.stderr
    return done.stderr


def test_a_record_is_of_one_run(tmp_path: Path) -> None:
    run(tmp_path, "telemetry", "--seconds", "0.5", "--journal", "journal")
    assert "journal holds a run already" in refusal(tmp_path, "--journal", "journal")


@pytest.mark.parametrize("option", ["--replay", "--verify"])
def test_a_folder_that_is_no_record_is_refused_and_left_as_it_is(tmp_path: Path, option: str) -> None:
    (tmp_path / "letters").mkdir()
    (tmp_path / "letters" / "dear.txt").write_text("dear")
    for folder in ("letters", "missing", "letters/dear.txt"):
        assert f"there is no record in {folder}" in refusal(tmp_path, option, folder)
    assert [one.name for one in (tmp_path / "letters").iterdir()] == ["dear.txt"]
    assert list(tmp_path.iterdir()) == [tmp_path / "letters"]


@pytest.mark.parametrize("option", ["--replay", "--verify"])
def test_a_record_of_something_else_proves_nothing(tmp_path: Path, option: str) -> None:
    with JournalBus(tmp_path / "journal") as journal:
        journal.write(700, 7, b"of another application")
    refused = refusal(tmp_path, option, "journal")
    assert "nothing was compared" in refused or "nothing to replay" in refused
    assert list(tmp_path.iterdir()) == [tmp_path / "journal"]


def test_telemetry_draws_over_itself_on_a_terminal(tmp_path: Path) -> None:
    ours, its = pty.openpty()
    process = subprocess.Popen(command("telemetry", "--seconds", "4"), cwd=tmp_path, stdout=its, stderr=its)
    os.close(its)
    deadline = threading.Timer(TIMEOUT, process.kill)
    deadline.start()
    try:
        shown = read_terminal(ours)
        assert process.wait() == 0, shown
    finally:
        deadline.cancel()
        process.kill()
        os.close(ours)
    assert len(re.findall(r"\x1b\[\d+F\x1b\[1mnanobus telemetry", shown)) >= 2
    hidden, alerts, visible, chart = map(shown.index, ("\x1b[?25l", "last alerts", "\x1b[?25h", "chart: "))
    assert hidden < alerts < visible < chart


def read_terminal(terminal: int) -> str:
    """Return all that is written to a terminal until nobody holds it any more."""
    pieces = []
    while True:
        try:
            piece = os.read(terminal, 65536)
        except OSError:                                 # Linux's way to say that the other end is closed
            piece = b""
        if not piece:
            break
        pieces.append(piece)
    return b"".join(pieces).decode()
