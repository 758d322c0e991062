"""The folder of a journal: who may use it, what is refused by name, and disks that are full."""

import fcntl
import os
import shutil
import stat
import struct
import subprocess
import sys
import textwrap

import pytest

from nanobus import (
    BusFormatError,
    CorruptJournalError,
    CorruptMessageError,
    JournalBus,
    JournalVersionError,
    MappingError,
)

SEGMENT = 4096


def make(path, **options):
    return JournalBus(path, segment_size=SEGMENT, sync_interval=1000, **options)


@pytest.fixture
def journal(tmp_path):
    """The folder of a closed journal of three segments and a half."""
    path = tmp_path / "journal"
    with make(path) as bus:
        for number in range(28):
            bus.write(1, 1, b"%03d" % number + bytes(480))
    return path


def numbers_of(reader):
    found = []
    while (envelope := reader.read(0)) is not None:
        found.append(int(envelope.payload[:3]))
    return found


def segment_of(path, index):
    return path / f"{index * SEGMENT:016x}.segment"


def change(path, at, content):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


# ---- who may ----

def test_folder_and_files_are_for_their_user_alone(tmp_path):
    before = os.umask(0)
    try:
        with make(tmp_path / "journal") as bus:
            bus.write(1, 1, b"x")
            bus.keep_house()
    finally:
        os.umask(before)
    assert stat.S_IMODE((tmp_path / "journal").stat().st_mode) == 0o700
    modes = {file.name: stat.S_IMODE(file.stat().st_mode) for file in (tmp_path / "journal").iterdir()}
    assert set(modes.values()) == {0o600}, modes
    assert {"lock", "control", "0000000000000000.segment"} <= set(modes)


@pytest.mark.parametrize("mode", [0o720, 0o702, 0o777])
def test_folder_that_others_may_write_to_is_refused(journal, mode):
    journal.chmod(mode)
    with pytest.raises(MappingError, match="writable by other users") as caught:
        make(journal)
    assert caught.value.errno == 1


def test_control_file_that_others_may_write_to_is_refused(journal):
    (journal / "control").chmod(0o660)
    with pytest.raises(MappingError, match="writable by other users"):
        make(journal)


def test_symbolic_links_are_not_followed(journal, tmp_path):
    (tmp_path / "link").symlink_to(journal)
    with pytest.raises(BusFormatError, match="symbolic link"):
        make(tmp_path / "link")
    shutil.move(journal / "control", tmp_path / "elsewhere")
    (journal / "control").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(BusFormatError, match="symbolic link"):
        make(journal)


@pytest.mark.parametrize("name", ["lock", "0000000000000000.segment"])
def test_linked_lock_and_segment_are_refused(journal, tmp_path, name):
    shutil.move(journal / name, tmp_path / "elsewhere")
    (journal / name).symlink_to(tmp_path / "elsewhere")
    with pytest.raises((MappingError, CorruptJournalError)), make(journal) as bus:
        bus.reader().read(0)


def test_file_in_the_place_of_the_folder_is_refused(tmp_path):
    (tmp_path / "journal").write_text("no folder")
    with pytest.raises(BusFormatError, match="must be a folder"):
        make(tmp_path / "journal")


def test_missing_parent_is_an_error_with_errno(tmp_path):
    with pytest.raises(MappingError) as caught:
        make(tmp_path / "no" / "journal")
    assert caught.value.errno == 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root may become somebody else")
def test_read_only_folder_and_foreign_owner_are_errors_with_errno(journal):
    code = """
        import os, sys
        from nanobus import JournalBus, MappingError
        os.setresuid(65534, 65534, 65534)
        for path in sys.argv[1:]:
            try:
                JournalBus(path)
            except MappingError as error:
                print(error.errno)
    """
    journal.chmod(0o755)
    (journal.parent / "new").mkdir()
    for folder in (journal.parent, *journal.parent.parents[:2]):
        folder.chmod(0o755)
    os.chown(journal.parent / "new", 65534, 65534)
    (journal.parent / "new").chmod(0o500)
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(journal), str(journal.parent / "new")],
        capture_output=True, text=True, timeout=60,
    )
    assert run.stdout.split() == ["1", "13"], run.stderr


# ---- what is refused ----

@pytest.mark.parametrize(("at", "content", "error"), [
    (0, b"\0", CorruptJournalError),
    (8, struct.pack("<I", 2), JournalVersionError),
    (12, struct.pack(">I", 0x01020304), JournalVersionError),
    (16, b"\xff\xff", CorruptJournalError),
    (24, struct.pack("<Q", 8192), CorruptJournalError),
    (44, struct.pack("<I", 1 << 30), CorruptJournalError),
])  # fmt: skip
def test_control_file_of_another_kind_is_refused(journal, at, content, error):
    change(journal / "control", at, content)
    with pytest.raises(error, match="control"):
        make(journal)


@pytest.mark.parametrize("content", [b"", b"x", bytes(100_000)])
def test_control_file_that_is_none_is_refused(journal, content):
    (journal / "control").write_bytes(content)
    with pytest.raises(CorruptJournalError, match="control"):
        make(journal)


def test_segments_without_a_control_file_are_refused(journal):
    (journal / "control").unlink()
    with pytest.raises(CorruptJournalError, match="no control file"):
        make(journal)


def test_head_without_segments_is_refused(journal):
    for file in journal.glob("*.segment"):
        file.unlink()
    with pytest.raises(CorruptJournalError, match="no segments"):
        make(journal)


@pytest.mark.parametrize("at", [0, 8, 12, 16, 24, 32, 40, 52])
def test_segment_with_a_foreign_header_is_refused_where_it_begins(journal, at):
    change(segment_of(journal, 1), at, bytes([segment_of(journal, 1).read_bytes()[at] ^ 1]))
    with make(journal) as bus:
        reader = bus.reader()
        assert [int(reader.read(0).payload[:3]) for _ in range(7)] == list(range(7))
        for _ in range(2):
            with pytest.raises(CorruptJournalError, match="another journal or version") as caught:
                reader.read(0)
            assert caught.value.position == SEGMENT
        with pytest.raises(CorruptJournalError):
            bus.read(SEGMENT)


def test_mixed_up_segments_are_refused(journal):
    one, other = segment_of(journal, 1), segment_of(journal, 2)
    one.rename(journal / "aside")
    other.rename(one)
    (journal / "aside").rename(other)
    with make(journal) as bus, pytest.raises(CorruptJournalError) as caught:
        numbers_of(bus.reader())
    assert caught.value.position == SEGMENT


def test_segment_of_another_journal_is_refused(journal, tmp_path):
    with make(tmp_path / "other") as bus:
        for _ in range(28):
            bus.write(1, 1, bytes(483))
    shutil.copy(segment_of(tmp_path / "other", 1), segment_of(journal, 1))
    with make(journal) as bus, pytest.raises(CorruptJournalError):
        numbers_of(bus.reader())


def test_missing_segment_is_named_and_not_made_anew(journal):
    segment_of(journal, 2).unlink()
    with make(journal) as bus:
        with pytest.raises(CorruptJournalError, match="missing") as caught:
            numbers_of(bus.reader())
        assert caught.value.position == 2 * SEGMENT
        assert int(bus.reader(3 * SEGMENT).read(0).payload[:3]) == 21


def test_missing_segment_under_the_head_refuses_writes(journal):
    with make(journal) as bus:
        bus.write(1, 1, b"half a segment")
    head_segment = max(journal.glob("*.segment"))
    with make(journal) as bus:
        assert bus.head % SEGMENT
        head_segment.unlink()
        with pytest.raises(CorruptJournalError, match="missing"):
            bus.write(1, 1, b"x")
        assert not head_segment.exists()


def test_corrupt_message_is_told_once_and_the_rest_is_read(journal):
    change(segment_of(journal, 1), 4096 + 2 * 544 + 100, b"\1")
    with make(journal) as bus:
        reader = bus.reader()
        assert [int(reader.read(0).payload[:3]) for _ in range(9)] == list(range(9))
        with pytest.raises(CorruptMessageError):
            reader.read(0)
        assert numbers_of(reader) == list(range(10, 28))


@pytest.mark.parametrize("file", ["a.segment", "00000000000000zz.segment", "notes.txt", "0000000000001000.segment~"])
def test_other_files_are_let_alone(journal, file):
    (journal / file).write_text("mine")
    with make(journal) as bus:
        assert numbers_of(bus.reader()) == list(range(28))
    assert (journal / file).read_text() == "mine"


def test_files_of_an_interrupted_creation_are_cleared_away(journal):
    (journal / ".0000000000009000-77-3.new").write_bytes(bytes(100))
    with make(journal):
        assert not (journal / ".0000000000009000-77-3.new").exists()


def test_damaged_tail_takes_nothing_with_it(journal):
    lines = 64 + 64
    change(journal / "control", 1024 + 128 * lines, struct.pack("<Q", 2 * SEGMENT))
    with make(journal) as bus:
        assert bus.tail == 0
        assert numbers_of(bus.reader()) == list(range(28))


def test_damaged_cursor_is_refused_by_name(journal):
    with make(journal) as bus, bus.reader("here") as reader:
        reader.read(0)
    cursor = 1024 + 128 * 128 + 128
    change(journal / "control", cursor + 64, struct.pack("<Q", 33))
    with make(journal) as bus, pytest.raises(CorruptJournalError, match="'here' is damaged"):
        bus.reader("here")
    change(journal / "control", cursor, b"w")
    with make(journal) as bus, pytest.raises(CorruptJournalError, match="name of a cursor"):
        bus.cursors()


def test_repair_while_an_opener_lets_others_in_makes_it_look_again(tmp_path, monkeypatch):
    with JournalBus(tmp_path / "journal", segment_size=4096) as bus:
        bus.write(1, 1, b"x")
    control, flock = tmp_path / "journal" / "control", fcntl.flock

    def repair_first(file, operation):
        if operation == fcntl.LOCK_SH | fcntl.LOCK_NB:
            monkeypatch.undo()
            shutil.copyfile(control, control.with_name("control.repaired"))
            control.with_name("control.repaired").chmod(0o600)
            control.with_name("control.repaired").replace(control)
        flock(file, operation)

    monkeypatch.setattr(fcntl, "flock", repair_first)
    with JournalBus(tmp_path / "journal") as bus, JournalBus(tmp_path / "journal") as other:
        bus.write(1, 1, b"y")
        assert other.head == bus.head
        assert other.recovery.reason == "joined"


def test_segment_that_others_may_write_to_is_refused(tmp_path):
    with make(tmp_path / "journal") as bus:
        bus.write(1, 1, b"x")
    segment = tmp_path / "journal" / "0000000000000000.segment"
    segment.chmod(0o606)
    with pytest.raises(MappingError) as caught, make(tmp_path / "journal") as bus:
        bus.reader().read(0)
    assert caught.value.errno == 1
    segment.chmod(0o600)
    with make(tmp_path / "journal") as bus:
        assert bus.reader().read(0).payload == b"x"
