"""Processes that die with a claim or a reader open: the others go on."""

import signal
import struct
import subprocess
import sys
import textwrap
import time

import pytest

from nanobus import BusFullError, CircularBus, JournalBus, Retention


def run_until_killed(code, path):
    """Run `code` in a process of its own until it prints a line, then SIGKILL it."""
    prologue = f"from nanobus import *\nbus = CircularBus(path={str(path)!r})\n"
    epilogue = "\nprint('now', flush=True)\nimport time; time.sleep(60)"
    process = subprocess.Popen(
        [sys.executable, "-c", prologue + textwrap.dedent(code) + epilogue],
        stdout=subprocess.PIPE, text=True,
    )
    assert process.stdout.readline() == "now\n"
    process.send_signal(signal.SIGKILL)
    assert process.wait(20) == -signal.SIGKILL
    process.stdout.close()


OPEN_CLAIM = """
    @message(id=1)
    class Point(Record):
        x: f64
        y: f64
    claim = bus.sender(5).claim(Point)
    point = claim.__enter__()
    point.x = 1.0
"""


@pytest.mark.parametrize("overflow", ["block", "error", "overwrite"])
def test_claim_of_a_killed_process_is_sealed_and_readers_go_on(tmp_path, overflow):
    bus = CircularBus(65536, tmp_path / "ring", overflow=overflow)
    reader = bus.reader()
    bus.write(1, 1, b"before")
    run_until_killed(OPEN_CLAIM, tmp_path / "ring")
    bus.write(1, 1, b"after")
    assert reader.read(0).payload == b"before"
    assert reader.read(20).payload == b"after"
    statistics = bus.statistics()
    assert (statistics.sealed, statistics.dead_writers) == (1, 1)


def test_writers_that_lapped_to_a_dead_claim_seal_it_without_any_reader(tmp_path):
    bus = CircularBus(4096, tmp_path / "ring")
    run_until_killed(OPEN_CLAIM, tmp_path / "ring")
    for _ in range(100):
        bus.write(1, 1, bytes(480), timeout=20)
    assert bus.statistics().sealed == 1


def test_observer_alone_seals_a_dead_claim(tmp_path):
    bus = CircularBus(4096, tmp_path / "ring")
    observer = bus.reader(gate=False)
    run_until_killed(OPEN_CLAIM, tmp_path / "ring")
    deadline = time.monotonic() + 20
    while observer.position < bus.head and time.monotonic() < deadline:
        assert observer.read(0.1) is None
    assert observer.position == bus.head
    assert bus.statistics().sealed == 1


def test_several_dead_claims_are_sealed_one_after_the_other(tmp_path):
    bus = CircularBus(65536, tmp_path / "ring")
    reader = bus.reader()
    for number in range(5):
        run_until_killed(OPEN_CLAIM, tmp_path / "ring")
        bus.write(1, 1, b"%d" % number)
    assert [reader.read(20).payload for _ in range(5)] == [b"%d" % number for number in range(5)]
    assert bus.statistics().sealed == 5


@pytest.mark.parametrize("overflow", ["block", "error"])
def test_reader_of_a_killed_process_stops_gating_also_for_who_never_waits(tmp_path, overflow):
    bus = CircularBus(4096, tmp_path / "ring", overflow=overflow)
    run_until_killed("reader = bus.reader()", tmp_path / "ring")
    deadline = time.monotonic() + 20
    written = 0
    while written < 50 and time.monotonic() < deadline:
        try:
            bus.write(1, 1, bytes(480), timeout=0)
            written += 1
        except BusFullError:
            time.sleep(0.001)
    assert written == 50


def test_reader_of_a_killed_process_stops_gating(tmp_path):
    bus = CircularBus(4096, tmp_path / "ring")
    run_until_killed("reader = bus.reader()", tmp_path / "ring")
    with pytest.raises(BusFullError):
        for _ in range(9):
            bus.write(1, 1, bytes(480), timeout=0)
    bus.write(1, 1, bytes(480), timeout=20)
    assert bus.statistics().dead_readers == 1
    assert bus.statistics().readers == ()


def test_lines_of_the_dead_are_given_to_the_living(tmp_path):
    bus = CircularBus(4096, tmp_path / "ring", readers=1, writers=2)
    run_until_killed("handles = bus.reader()", tmp_path / "ring")
    bus.reader()
    bus.writer()


def test_place_that_is_let_go_under_a_living_child_gates_no_more_once_that_one_is_killed(tmp_path):
    path = tmp_path / "ring"
    bus = CircularBus(4096, path)
    place = bus.hold()
    code = (
        "import sys, time; from nanobus import *\nbus = CircularBus(path=sys.argv[1])\n"
        "reader = bus.adopt(tuple(map(int, sys.argv[2:])))\nprint('now', flush=True)\ntime.sleep(60)"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path), *map(str, place.ticket)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "now\n"
    place.let_go()
    with pytest.raises(BusFullError):
        for _ in range(9):
            bus.write(1, 1, bytes(480), timeout=0)
    process.kill()
    process.wait(20)
    process.stdout.close()
    bus.write(1, 1, bytes(480), timeout=20)
    assert place.reclaim() is None
    assert bus.statistics().readers == ()


@pytest.mark.parametrize("meanwhile", ["", "ballast = bytearray(50 << 20)"])
def test_claim_in_a_living_process_is_waited_for_also_when_it_grows(tmp_path, meanwhile):
    path = tmp_path / "ring"
    bus = CircularBus(65536, path)
    reader = bus.reader()
    code = "import sys; from nanobus import *\nbus = CircularBus(path=sys.argv[1])" + textwrap.dedent(OPEN_CLAIM) + (
        f"\n{meanwhile}\nprint('now', flush=True)\nsys.stdin.readline()\nclaim.__exit__(None, None, None)\n"
    )
    process = subprocess.Popen(
        [sys.executable, "-c", code, str(path)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "now\n"
    bus.write(1, 1, b"later")
    assert reader.read(0.2) is None
    process.communicate("\n", timeout=20)
    assert [reader.read(20).source for _ in range(2)] == [5, 1]
    assert bus.statistics().sealed == 0


def test_process_that_grows_is_still_alive(tmp_path):
    bus = CircularBus(4096, tmp_path / "ring")
    other = CircularBus(path=tmp_path / "ring")
    reader = other.reader()
    ballast = bytearray(80 << 20)                       # an owner is known by its start time, not by its size
    with pytest.raises(BusFullError):
        for _ in range(20):
            bus.write(1, 1, bytes(480), timeout=0.02)
    assert bus.statistics().dead_readers == 0
    assert reader.read(0) is not None
    assert len(ballast)


def test_forked_child_lets_go_of_inherited_buses_and_harms_nobody(tmp_path):
    code = f"""
        import os, sys
        from nanobus import BusClosedError, CircularBus
        bus = CircularBus(4096, {str(tmp_path / "ring")!r})
        reader = bus.reader()
        bus.write(1, 1, b"before")
        child = os.fork()
        if child == 0:
            try:
                bus.write(1, 1, b"by the child")
            except BusClosedError:
                del reader, bus
                with CircularBus(path={str(tmp_path / "ring")!r}) as own:
                    own.write(2, 1, b"opened anew")
                os._exit(0)
            os._exit(1)
        status = os.waitpid(child, 0)[1]
        print(status, [reader.read(5).payload for _ in range(2)], bus.statistics().readers[0].gating)
    """
    run = subprocess.run([sys.executable, "-W", "ignore", "-c", textwrap.dedent(code)], capture_output=True, timeout=60)
    assert run.stdout == b"0 [b'before', b'opened anew'] True\n", run.stderr


def leave_intent(control, line, position, length):
    """Write into a control block what a writer leaves that is killed between its intent and its compare-and-swap."""
    dead = subprocess.Popen(["true"])
    dead.wait()
    with control.open("r+b") as file:
        file.seek(448)
        used = struct.unpack("<I", file.read(4))[0]
        file.seek(448)
        file.write(struct.pack("<I", max(used, line + 1)))
        file.seek(1024 + 128 * line)
        file.write(struct.pack("<QQQ", 12345 << 22 | dead.pid, position, length))


@pytest.mark.parametrize("size", [32, 64])
def test_intent_that_is_a_lap_old_is_void_and_its_bytes_are_left_to_whom_they_belong(tmp_path, size):
    bus = CircularBus(4096, tmp_path / "ring", writers=3, readers=2)
    positions = [bus.write(1, 1, bytes([number]) * size, timeout=1) for number in range(100)]
    kept = [position for position in positions if bus.head - position <= 4096]
    stale = max(position for position in positions if position + 4096 + 600 < bus.head)
    leave_intent(tmp_path / "ring", 1, stale, 32 + size)
    writers = [bus.writer(), bus.writer()]                  # the second needs the line of the dead
    assert bus.statistics().sealed == 0
    assert bus.statistics().dead_writers == 1
    assert [bus.read(position).payload for position in kept] == [
        bytes([positions.index(position)]) * size for position in kept
    ]
    reader = bus.reader()
    assert [one.position for one in iter(lambda: reader.read(0), None)][-1] == kept[-1]
    assert len(writers) == 2


def test_intent_in_a_segment_that_retention_took_is_void(tmp_path):
    path = tmp_path / "journal"
    with JournalBus(
        path, segment_size=4096, sync="commit", sync_interval=1000, retention=Retention(count=1), writers=2, readers=2
    ) as bus:
        for _ in range(20):
            bus.write(1, 1, bytes(1000))
        bus.keep_house()
        assert bus.tail > 4096
        leave_intent(path / "control", 1, 1056, 1056)
        bus.write(1, 1, b"durable")                         # waits until nothing before it is in flight
        assert bus.durable == bus.head
        assert bus.statistics().dead_writers == 1
