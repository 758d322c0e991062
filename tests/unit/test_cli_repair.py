"""`nanobus journal repair`: named cursors, and journals that are not ours to repair."""

import os

import pytest

from nanobus import CorruptJournalError, JournalBus
from nanobus.journal import repair as journal_repair
from recorded import HEADER, SEGMENT_SIZE, Command, flip, segments_of, snapshot

SLOT = 64
CURSORS = {"first": 0, "before": 640, "inside": 768, "last inside": 896, "behind": 960, "far": 2 * SEGMENT_SIZE + 128}


@pytest.fixture
def command(capsys):
    return Command(capsys)


@pytest.fixture
def journal(tmp_path):
    """Messages of 64 bytes with their headers in three segments, and cursors at some of them."""
    path = tmp_path / "journal"
    with JournalBus(path, segment_size=SEGMENT_SIZE) as bus:
        while bus.head < 2 * SEGMENT_SIZE + 512:
            bus.write(1, 7, b"x" * 32)
        for name, position in CURSORS.items():
            with bus.reader(name) as reader:
                while reader.position < position:
                    reader.read(0)
        assert bus.cursors() == CURSORS
    return path


def zero(journal, start, end):
    """Zero the bytes of positions in the first segment."""
    with open(segments_of(journal)[0], "r+b") as file:
        file.seek(HEADER + start)
        file.write(bytes(end - start))


def repaired(command, journal, *options):
    """Repair; return the cursors, and the first message that each of them gives."""
    command("repair", journal, *options)
    assert command.code == 0, command.errors
    assert command.row("verify", journal)["sound"]
    assert command("repair", journal) == "nothing to repair\n"
    with JournalBus(journal) as bus:
        cursors, first = bus.cursors(), {}
        for name in cursors:
            with bus.reader(name) as reader:
                one = reader.read(0)
                first[name] = None if one is None else one.position
    return cursors, first


def test_a_cursor_inside_of_what_becomes_padding_goes_to_its_beginning(command, journal):
    zero(journal, 640, 960)
    damage = {one["position"]: one["resumes"] for one in command.row("verify", journal)["damage"]}
    assert damage == {640: 960, 768: 640, 896: 640}
    assert "no message begins where the cursor 'inside' stands" in command.errors
    cursors, first = repaired(command, journal)
    assert cursors == CURSORS | {"inside": 640, "last inside": 640}
    assert first == CURSORS | {"before": 960, "inside": 960, "last inside": 960}


def test_a_dry_run_tells_which_cursors_would_move(command, journal):
    zero(journal, 640, 960)
    before = snapshot(journal)
    printed = command("repair", journal, "--dry-run")
    assert "the named cursor at 768 goes to 640" in printed
    assert snapshot(journal) == before


def test_a_cursor_that_an_interrupted_repair_has_left_in_padding_is_found(command, journal, monkeypatch):
    zero(journal, 640, 960)
    monkeypatch.setattr(journal_repair, "with_end", lambda *arguments: 1 / 0)
    command("repair", journal)
    assert command.code == 70
    monkeypatch.undo()
    with JournalBus(journal) as bus, pytest.raises(CorruptJournalError, match="the cursor 'inside' is damaged"):
        bus.reader("inside")
    [damage, *_] = command.row("verify", journal)["damage"]
    assert (damage["kind"], damage["position"], damage["resumes"]) == ("cursor", 768, 640)
    assert repaired(command, journal)[1]["inside"] == 960


def test_a_cursor_inside_of_a_message_goes_to_its_beginning(command, journal):
    with JournalBus(journal) as bus:
        assert bus.read(CURSORS["far"]).payload == b"x" * 32
    content = bytearray((journal / "control").read_bytes())
    at = content.index(b"far".ljust(64, b"\0")) + 64
    assert int.from_bytes(content[at : at + 8], "little") == CURSORS["far"]
    content[at : at + 8] = (CURSORS["far"] + 32).to_bytes(8, "little")
    (journal / "control").write_bytes(content)
    assert repaired(command, journal) == (CURSORS, CURSORS)


def test_a_cursor_behind_what_is_cut_away_goes_to_the_end(command, journal):
    segments_of(journal)[1].unlink()
    cursors, first = repaired(command, journal)
    assert cursors == CURSORS | {"far": SEGMENT_SIZE}
    assert first["far"] is None


def test_a_cursor_in_a_missing_segment_that_is_filled_goes_to_its_beginning(command, journal):
    with JournalBus(journal) as bus, bus.reader("far") as far, bus.reader("missing") as reader:
        while reader.position < SEGMENT_SIZE + 128:
            reader.read(0)
        assert far.position == CURSORS["far"]
    segments_of(journal)[1].unlink()
    cursors, first = repaired(command, journal, "--keep")
    assert cursors == CURSORS | {"missing": SEGMENT_SIZE}
    assert first == CURSORS | {"missing": 2 * SEGMENT_SIZE}


def test_a_cursor_before_the_first_segment_that_is_left_goes_there(command, journal):
    segments_of(journal)[0].unlink()
    cursors, _ = repaired(command, journal)
    assert cursors == {name: max(position, SEGMENT_SIZE) for name, position in CURSORS.items()}


def test_cursors_of_a_journal_that_is_read_and_written_are_no_damage(command, journal):
    with JournalBus(journal) as bus, bus.reader("before") as reader:
        for _ in range(40):
            reader.read(0)
            bus.write(1, 7, b"y" * 100)
            assert command.row("verify", journal)["damage"] == []


@pytest.mark.parametrize("mode", [0o770, 0o702])
def test_a_journal_that_others_may_write_to_is_not_repaired(command, journal, mode):
    flip(segments_of(journal)[0], HEADER + 33)
    journal.chmod(mode)
    before = snapshot(journal)
    command("repair", journal)
    assert command.code == 2
    assert "a journal must not be writable by other users" in command.errors
    assert snapshot(journal) == before
    assert list(journal.parent.iterdir()) == [journal]


def test_a_journal_of_another_user_is_not_repaired(command, journal, monkeypatch):
    flip(segments_of(journal)[0], HEADER + 33)
    (journal / "lock").unlink()
    before = snapshot(journal)
    owner = journal.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)
    command("repair", journal)
    assert command.code == 2
    assert f"a journal must belong to its user {owner + 1}, got {owner}" in command.errors
    assert snapshot(journal) == before
    command("repair", journal, "--dry-run")
    assert command.code == 0


def test_a_repair_does_not_follow_a_symbolic_link(command, journal, tmp_path):
    flip(segments_of(journal)[0], HEADER + 33)
    (tmp_path / "link").symlink_to(journal)
    before = snapshot(journal)
    command("repair", tmp_path / "link")
    assert command.code == 2
    assert "no symbolic link" in command.errors
    assert snapshot(journal) == before
