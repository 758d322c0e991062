"""`nanobus journal verify, cat, repair` on journals that are damaged."""

import random
import shutil
from itertools import pairwise

import pytest

from nanobus import JournalBus, Retention
from nanobus.journal.looks import Finding
from nanobus.journal.scan import JournalScan
from recorded import HEADER, SEGMENT_SIZE, Command, flip, read_all, record, segments_of, snapshot


@pytest.fixture
def command(capsys):
    return Command(capsys)


@pytest.fixture(scope="module")
def original(tmp_path_factory):
    path = tmp_path_factory.mktemp("original") / "journal"
    record(path, readings=150)
    return path


@pytest.fixture
def journal(original, tmp_path):
    """A copy of the journal, to be damaged."""
    shutil.copytree(original, tmp_path / "journal")
    return tmp_path / "journal"


@pytest.fixture(scope="module")
def messages(original):
    return read_all(original)


def aside_of(journal):
    [aside] = journal.parent.glob("journal.cut-*")
    return aside


def repaired(command, journal, *options):
    """Repair, see that it is sound then, and that the bus agrees with what `cat` shows; return the bus's messages."""
    command("repair", journal, *options)
    assert command.code == 0, command.errors
    assert command.row("verify", journal)["sound"]
    assert command.code == 0
    shown = [row["position"] for row in command.lines("cat", journal)]
    found = read_all(journal)
    assert [position for position, _, _ in found] == shown
    with JournalBus(journal) as bus:
        position = bus.write(1, 7, b"goes on")
        assert bus.read(position).payload == b"goes on"
    assert command.row("verify", journal)["messages"] == len(found) + 1
    return found


def test_a_sound_journal_is_left_as_it_is(command, journal):
    before = snapshot(journal)
    assert command.row("verify", journal)["sound"]
    assert command.code == 0
    assert command("repair", journal) == "nothing to repair\n"
    assert command.code == 0
    assert snapshot(journal) == before
    assert list(journal.parent.iterdir()) == [journal]


def test_a_flipped_payload_is_named_and_only_its_message_is_lost(command, journal, messages):
    lost = messages[10][0]
    flip(segments_of(journal)[0], HEADER + lost + 33)
    row = command.row("verify", journal)
    assert command.code == 1
    [damage] = row["damage"]
    assert damage["position"] == lost
    assert damage["resumes"] == messages[11][0]
    assert "checksum" in damage["reason"]
    assert f"nanobus: damaged at position {lost}: " in command.errors
    shown = [row["position"] for row in command.lines("cat", journal)]
    assert command.code == 1
    assert shown == [position for position, _, _ in messages if position != lost]
    assert repaired(command, journal) == [one for one in messages if one[0] != lost]


def test_flips_anywhere_never_crash_and_never_change_a_message(command, journal, messages):
    known = {position: payload for position, _, payload in messages}
    rng = random.Random(7)
    for segment in segments_of(journal):
        content = segment.read_bytes()
        for _ in range(25):
            flip(segment, rng.randrange(len(content)), 1 << rng.randrange(8))
            rows = command.row("verify", journal)
            assert command.code == int(not rows["sound"])
            shown = [row["position"] for row in command.lines("cat", journal)]
            assert set(shown) <= set(known)
            assert len(shown) >= len(known) - 1
            segment.write_bytes(content)


def test_flips_that_do_damage_can_be_repaired(command, original, tmp_path, messages):
    rng = random.Random(11)
    known = set(messages)
    for number in range(25):
        journal = tmp_path / str(number) / "journal"
        shutil.copytree(original, journal)
        for _ in range(3):
            segment = rng.choice(segments_of(journal))
            flip(segment, rng.randrange(segment.stat().st_size), 1 << rng.randrange(8))
        found = repaired(command, journal)
        assert set(found) <= known
        assert len(found) >= len(known) - 3


def test_truncations_of_the_last_segment_lose_its_end_only(command, original, tmp_path, messages):
    last = next(one for one in reversed(segments_of(original)) if int(one.stem, 16) <= messages[-1][0])
    base = int(last.stem, 16)
    used = messages[-1][0] - base + HEADER
    for number, length in enumerate([0, 17, 64, HEADER - 1, HEADER, HEADER + 31, HEADER + 100, used - 1, used + 32]):
        journal = tmp_path / str(number) / "journal"
        shutil.copytree(original, journal)
        with open(journal / last.name, "r+b") as file:
            file.truncate(length)
        assert not command.row("verify", journal)["sound"]
        assert command.code == 1
        found = repaired(command, journal)
        assert found == messages[: len(found)]
        whole = [one for one, following in pairwise(messages) if following[0] <= base + max(length - HEADER, 0)]
        assert len(found) >= len(whole)


def test_what_is_cut_is_kept_aside(command, journal, messages):
    first, second = segments_of(journal)[:2]
    lost = messages[5][0]
    content = second.read_bytes()
    flip(first, HEADER + lost)
    damaged = first.read_bytes()
    second.unlink()
    printed = command("repair", journal)
    aside = aside_of(journal)
    assert f"what was cut out is in {aside}" in printed
    names = sorted(one.name for one in aside.iterdir())
    assert f"{lost:016x}-{messages[6][0]:016x}.bytes" in names
    kept = (aside / f"{lost:016x}-{messages[6][0]:016x}.bytes").read_bytes()
    stretch = damaged[HEADER + lost : HEADER + messages[6][0]]
    assert kept == stretch.rstrip(b"\0")
    assert content[:8] == (aside / f"{2 * SEGMENT_SIZE:016x}.segment").read_bytes()[:8]
    assert (aside.stat().st_mode & 0o777) == 0o700
    assert command.row("verify", journal)["end"] == SEGMENT_SIZE


def test_a_dry_run_says_what_would_be_done_and_does_nothing(command, journal, messages):
    flip(segments_of(journal)[0], HEADER + messages[3][0])
    before = snapshot(journal)
    printed = command("repair", journal, "--dry-run")
    assert f"positions {messages[3][0]} to {messages[4][0]} become padding" in printed
    assert printed.endswith("nothing was changed\n")
    assert snapshot(journal) == before
    assert list(journal.parent.iterdir()) == [journal]
    row = command.row("repair", journal, "--dry-run")
    assert [step["action"] for step in row["steps"]] == ["pad"]
    assert row["done"] is False


def test_a_missing_segment_cuts_the_journal(command, journal, messages):
    gone = segments_of(journal)[1]
    base = int(gone.stem, 16)
    gone.unlink()
    [damage] = command.row("verify", journal)["damage"]
    assert command.code == 1
    assert (damage["kind"], damage["position"]) == ("missing", base)
    assert repaired(command, journal) == [one for one in messages if one[0] < base]


def test_what_is_behind_a_missing_segment_can_be_kept(command, journal, messages):
    gone = segments_of(journal)[1]
    base = int(gone.stem, 16)
    gone.unlink()
    found = repaired(command, journal, "--keep")
    assert found == [one for one in messages if not base <= one[0] < base + SEGMENT_SIZE]


def test_a_missing_control_file_is_made_anew(command, journal, messages):
    (journal / "control").unlink()
    row = command.row("verify", journal)
    assert command.code == 1
    assert row["messages"] == len(messages)
    assert "the control file is missing" in command.errors
    assert len(command.lines("cat", journal)) == len(messages)
    assert repaired(command, journal) == messages


def test_a_damaged_control_file_is_kept_aside_and_made_anew(command, journal, messages):
    flip(journal / "control", 16)
    damaged = (journal / "control").read_bytes()
    assert repaired(command, journal) == messages
    assert (aside_of(journal) / "control").read_bytes() == damaged.rstrip(b"\0")


def test_a_damaged_header_is_written_anew(command, journal, messages):
    flip(segments_of(journal)[1], 20)
    [damage] = command.row("verify", journal)["damage"]
    assert damage["kind"] == "header"
    assert repaired(command, journal) == messages


def test_a_head_that_lies_is_found(command, journal, messages):
    flip(journal / "control", 128 + 3)
    [damage] = command.row("verify", journal)["damage"]
    assert damage["resumes"] is None
    assert command.row("verify", journal)["messages"] == len(messages)
    assert repaired(command, journal) == messages


def test_a_damaged_schema_leaves_payloads_undecoded(command, journal, messages):
    (journal / "schema.json").write_text("{")
    rows = command.lines("cat", journal)
    assert command.code == 1
    assert len(rows) == len(messages)
    assert "base64" in rows[0]["payload"]
    assert "schema.json" in command.errors


def test_a_journal_of_another_version_is_refused(command, journal):
    with open(journal / "control", "r+b") as file:
        file.seek(8)
        file.write(b"\x63")
    command("verify", journal)
    assert command.code == 2
    assert "version 99" in command.errors


def test_an_open_journal_is_not_repaired(command, journal):
    with JournalBus(journal):
        command("repair", journal)
    assert command.code == 2
    assert "is open in a process" in command.errors


def test_missing_first_segments_move_the_tail(command, journal, messages):
    segments_of(journal)[0].unlink()
    [damage] = command.row("verify", journal)["damage"]
    assert (damage["position"], damage["resumes"]) == (0, SEGMENT_SIZE)
    assert repaired(command, journal) == [one for one in messages if one[0] >= SEGMENT_SIZE]


def test_a_symbolic_link_is_no_segment(command, journal, tmp_path, messages):
    segment = segments_of(journal)[1]
    segment.rename(tmp_path / "elsewhere")
    segment.symlink_to(tmp_path / "elsewhere")
    [damage] = command.row("verify", journal)["damage"]
    assert (damage["kind"], damage["position"]) == ("missing", SEGMENT_SIZE)
    assert len(command.lines("cat", journal)) < len(messages)


def test_a_damaged_cursor_name_costs_the_cursors(command, journal, messages):
    with JournalBus(journal) as bus, bus.reader("billing"):
        pass
    at = (journal / "control").read_bytes().index(b"billing\0")
    flip(journal / "control", at + 2)
    assert not command.row("verify", journal)["sound"]
    assert command.row("info", journal)["cursors"] == {}
    assert repaired(command, journal) == messages


def test_segments_that_retention_takes_during_a_look_are_no_damage(journal, messages):
    with JournalBus(journal, retention=Retention(count=1)) as bus, JournalScan(journal) as scan:
        walk = scan.walk()
        seen = [next(walk)]
        bus.keep_house()
        seen += walk
    assert scan.control.tail > 0
    assert not [one for one in seen if isinstance(one, Finding) and one.is_damage]
    [removed] = [one for one in seen if isinstance(one, Finding)]
    assert removed.kind == "removed"
    assert removed.resumes == scan.control.tail
    read = [one.position for one in seen if not isinstance(one, Finding)]
    assert read[-1] == messages[-1][0]
    assert set(read) <= {position for position, _, _ in messages}


def test_an_empty_journal_is_sound(command, tmp_path):
    JournalBus(tmp_path / "journal").close()
    assert command.row("verify", tmp_path / "journal")["messages"] == 0
    assert command.code == 0
    assert command.row("info", tmp_path / "journal")["head"] == 0
    assert command("cat", tmp_path / "journal") == ""
    assert command("repair", tmp_path / "journal") == "nothing to repair\n"


def test_every_journal_without_checksums_is_walked_too(command, tmp_path):
    path = tmp_path / "journal"
    record(path, readings=60, checksum=False, timestamps=False)
    messages = read_all(path)
    (path / "control").unlink()
    assert len(command.lines("cat", path)) == len(messages)
    assert repaired(command, path) == messages
    row = command.row("info", path)
    assert (row["timestamps"], row["checksums"]) == (False, False)
