"""Named cursors: positions that outlive their readers, and hold retention back."""

import subprocess
import sys

import pytest

from nanobus import CorruptJournalError, CursorInUseError, JournalBus, Retention, TooManyHandlesError

SEGMENT = 4096


def make(path=None, **options):
    return JournalBus(path, segment_size=SEGMENT, sync_interval=1000, **options)


def test_cursor_resumes_where_its_reader_was(tmp_path):
    with make(tmp_path / "journal") as bus:
        for number in range(100):
            bus.write(1, 1, b"%d" % number)
        with bus.reader("here") as reader:
            assert [reader.read(0).payload for _ in range(70)][-1] == b"69"
            place = reader.position
        assert bus.cursors() == {"here": place}
        with bus.reader("here") as reader:
            assert reader.read(0).payload == b"70"
    with make(tmp_path / "journal") as bus, bus.reader("here") as reader:
        assert reader.read(0).payload == b"71"


def test_new_cursor_starts_at_the_oldest():
    with make() as bus:
        bus.write(1, 1, b"first")
        assert bus.reader("new").read(0).payload == b"first"


def test_cursor_has_one_reader_here():
    with make() as bus:
        reader = bus.reader("here")
        with pytest.raises(CursorInUseError, match="'here'"):
            bus.reader("here")
        with pytest.raises(CursorInUseError, match="'here'"):
            bus.drop_cursor("here")
        reader.close()
        bus.reader("here").close()


def test_cursor_has_one_reader_in_all_processes(tmp_path):
    code = (
        "import sys\nfrom nanobus import CursorInUseError, JournalBus\nbus = JournalBus(sys.argv[1])\n"
        "try:\n    bus.reader('here')\nexcept CursorInUseError:\n    print('in use')\n"
        "there = bus.reader('there')\nprint('ready', flush=True)\nsys.stdin.readline()\n"
    )
    with make(tmp_path / "journal") as bus:
        reader = bus.reader("here")
        child = subprocess.Popen(
            [sys.executable, "-W", "ignore", "-c", code, str(tmp_path / "journal")],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        assert [child.stdout.readline() for _ in range(2)] == ["in use\n", "ready\n"]
        with pytest.raises(CursorInUseError, match="'there'"):
            bus.reader("there")
        child.kill()
        child.communicate(timeout=20)
        bus.reader("there").close()
        reader.close()


@pytest.mark.parametrize("name", ["x" * 64, "a\0b", "oldest\0", "\u00e9" * 32])
def test_name_that_cannot_be_kept_is_refused(name):
    with make() as bus, pytest.raises(ValueError, match="name"):
        bus.reader(name)


def test_empty_name_is_refused():
    with make() as bus, pytest.raises(ValueError, match="name"):
        bus.reader("")


@pytest.mark.parametrize("name", ["x", "x" * 63, "\u00e9" * 31, "Oldest", "a b/c"])
def test_any_other_name_is_kept(tmp_path, name):
    with make(tmp_path / "journal") as bus:
        bus.reader(name).close()
    with make(tmp_path / "journal") as bus:
        assert bus.cursors() == {name: 0}


def test_there_are_64_cursors_and_a_dropped_one_makes_room():
    with make(readers=70) as bus:
        for number in range(64):
            bus.reader(f"cursor {number}").close()
        with pytest.raises(TooManyHandlesError, match="64"):
            bus.reader("one more")
        assert bus.statistics().readers == ()
        bus.drop_cursor("cursor 7")
        bus.reader("one more").close()
        assert set(bus.cursors()) == {f"cursor {number}" for number in range(64) if number != 7} | {"one more"}


def test_unknown_cursor_cannot_be_dropped():
    with make() as bus, pytest.raises(KeyError, match="nobody"):
        bus.drop_cursor("nobody")


def test_named_cursor_goes_with_a_gate():
    with make() as bus, pytest.raises(ValueError, match="gate"):
        bus.reader("here", gate=False)


def test_refused_cursor_leaves_no_line_behind():
    with make(readers=2) as bus:
        reader = bus.reader("here")
        for _ in range(10):
            with pytest.raises(CursorInUseError):
                bus.reader("here")
        assert len(bus.statistics().readers) == 1
        reader.close()


def test_retention_waits_for_a_cursor_without_a_reader(tmp_path):
    with make(tmp_path / "journal", retention=Retention(count=1)) as bus:
        bus.write(1, 1, b"first")
        bus.reader("here").close()
        for _ in range(100):
            bus.write(1, 1, bytes(200))
        bus.keep_house()
        assert bus.tail == 0
        assert bus.reader("here").read(0).payload == b"first"
    with make(tmp_path / "journal", retention=Retention(count=1)) as bus:
        bus.keep_house()
        assert bus.tail == 0
        bus.drop_cursor("here")
        bus.keep_house()
        assert bus.tail > 0


def test_damaged_name_spoils_no_other_cursor(tmp_path):
    with make(tmp_path / "journal", writers=1, readers=4) as bus:
        bus.write(1, 1, b"x")
        bus.reader("broken").close()
        bus.reader("sound").close()
    control = tmp_path / "journal" / "control"
    with control.open("r+b") as file:
        file.seek(control.read_bytes().index(b"broken") + 3)
        file.write(b"X")
    with make(tmp_path / "journal") as bus:
        bus.reader("sound").close()
        with pytest.raises(CorruptJournalError, match="the name of a cursor"):
            bus.reader("broken")
