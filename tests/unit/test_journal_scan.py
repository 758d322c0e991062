"""JournalScan: where a look begins, and what others do to the files meanwhile."""

from contextlib import ExitStack

import pytest

from nanobus import JournalBus, Retention
from nanobus.cli import cat
from nanobus.journal.looks import Finding
from nanobus.journal.scan import JournalScan
from recorded import HEADER, SEGMENT_SIZE, Average, Command, flip, segments_of


@pytest.fixture
def command(capsys):
    return Command(capsys)


@pytest.fixture
def journal(tmp_path):
    """Messages of several sizes in three segments, each but the last ending with padding."""
    with JournalBus(tmp_path / "journal", segment_size=SEGMENT_SIZE) as bus:
        for number in range(24):
            bus.write(1, 7, b"x" * (100 + 20 * number))
    return tmp_path / "journal"


def test_a_look_may_begin_anywhere_inside_or_behind_a_sound_journal(command, journal):
    rows = command.lines("cat", journal)
    head = command.row("info", journal)["head"]
    assert 2 * SEGMENT_SIZE < head < 3 * SEGMENT_SIZE
    for start in [*range(0, head + 2 * SEGMENT_SIZE, 32), 33, head - 1, head + 1, 2**63, 2**70]:
        assert command.lines("cat", journal, "--from", start) == [row for row in rows if row["position"] >= start]
        assert (command.code, command.errors) == (0, "")


def test_a_look_may_begin_anywhere_in_a_journal_that_is_open(command, journal):
    with JournalBus(journal) as bus:
        for start in range(bus.head - 128, bus.head + 128, 32):
            command.lines("cat", journal, "--from", start)
            assert (command.code, command.errors) == (0, "")


def test_a_look_may_begin_behind_the_end_of_a_journal_without_a_control_file(journal):
    with JournalScan(journal) as scan:
        head = scan.head
        (journal / "control").unlink()
        for start in (head - 32, head, head + 32, head + 2 * SEGMENT_SIZE):
            assert [*scan.walk(start)] == []


@pytest.mark.parametrize("ahead", [32, 64, SEGMENT_SIZE, 3 * SEGMENT_SIZE])
def test_who_follows_from_a_position_that_is_still_to_come_is_shown_what_comes_there(
    command, journal, monkeypatch, ahead
):
    with JournalBus(journal) as bus:
        start = bus.head + ahead
        written = []

        def again():
            if written:
                raise KeyboardInterrupt
            written.extend(bus.write(1, 7, b"x" * 500) for _ in range(40))
            return True

        monkeypatch.setattr(cat, "again", again)
        rows = command.lines("tail", journal, "-f", "--from", start)
    assert (command.code, command.errors) == (130, "")
    assert [row["position"] for row in rows] == [position for position in written if position >= start]


@pytest.fixture
def following(command, monkeypatch):
    """`tail -f`, which `act` is called in once, when it has shown all there is; the positions that it showed."""

    def follow(path, *options, act):
        acted = []

        def again():
            if acted:
                raise KeyboardInterrupt
            acted.append(act())
            return True

        monkeypatch.setattr(cat, "again", again)
        rows = command.lines("tail", path, "-f", *options)
        assert (command.code, command.errors) == (130, "")
        return [row["position"] for row in rows]

    return follow


@pytest.mark.parametrize("start", [None, 0, 32, 64, 96, 128, 160])
def test_who_follows_is_shown_what_was_in_flight_when_it_began(following, tmp_path, start):
    options = [] if start is None else ["--from", start]
    with JournalBus(tmp_path) as bus, bus.sender(2) as sender, ExitStack() as claim:
        for _ in range(3):
            bus.write(1, 7, b"")
        claim.enter_context(sender.claim(Average))
        assert bus.head == 160

        def act():
            claim.close()
            bus.write(1, 7, b"")

        seen = following(tmp_path, *options, act=act)
    assert seen == [position for position in (0, 32, 64, 96, 160) if position >= (start or 0)]


def test_who_follows_waits_for_what_is_in_flight_however_much_stands_behind_it(following, tmp_path):
    with JournalBus(tmp_path, segment_size=SEGMENT_SIZE) as bus, bus.sender(2) as sender, ExitStack() as claim:
        before = [bus.write(1, 7, b"") for _ in range(3)]
        claim.enter_context(sender.claim(Average))
        behind = [bus.write(1, 7, b"x" * 500) for _ in range(30)]
        assert bus.head > 3 * SEGMENT_SIZE
        assert following(tmp_path, "-n", "2", act=claim.close) == [*before[1:], 96, *behind]


@pytest.mark.parametrize("name", ["cat", "tail", "export"])
def test_damage_is_told_of_wherever_a_look_begins_in_it_or_before_it(command, tmp_path, name):
    journal, output = tmp_path / "journal", [tmp_path / "out.jsonl", "--force"]
    with JournalBus(journal) as bus:
        positions = [bus.write(1, 7, b"x" * 64) for _ in range(6)]
    segment = segments_of(journal)[0]
    sound = segment.read_bytes()
    for damaged, end in ((288, 384), (480, 576)):
        segment.write_bytes(sound[: HEADER + damaged] + bytes(96) + sound[HEADER + damaged + 96 :])
        for start in range(0, 576, 32):
            command(name, journal, *(output if name == "export" else []), "--from", start)
            assert command.code == int(start < end)
            assert command.errors.count(f"damaged at position {damaged}") == int(start < end)
            rows = command.lines("cat", journal, "--from", start)
            assert [row["position"] for row in rows] == [
                one for one in positions if one >= start and one != damaged
            ]


def test_a_look_that_begins_behind_the_last_sound_message_tells_of_a_flipped_one(command, journal):
    last = command.lines("cat", journal)[-1]["position"]
    flip(segments_of(journal)[-1], HEADER + last % SEGMENT_SIZE + 33)
    for start in (last, last + 32):
        assert command("cat", journal, "--from", start) == ""
        assert command.code == 1
        assert f"damaged at position {last}: the checksum" in command.errors


def test_tail_tells_of_damage_once(command, journal):
    flip(segments_of(journal)[-1], HEADER + 33)
    for options in ([], ["-n", "1000"]):
        command("tail", journal, *options)
        assert command.code == 1
        assert command.errors.count("damaged at position") == 1


class Raced(JournalScan):
    """A scan in whose way others get: `race` is called once, after `step` has looked."""

    race = None
    step = None

    def look(self, step, found):
        if self.step == step and self.race is not None:
            race, self.race = self.race, None
            race()
        return found

    def segment(self, position):
        return self.look("segment", super().segment(position))

    def refresh(self):
        self.look("refresh", super().refresh())

    def bases(self):
        return self.look("bases", super().bases())


@pytest.mark.parametrize("step", ["segment", "refresh", "bases"])
def test_segments_that_retention_takes_between_two_steps_of_a_look_are_no_damage(journal, step):
    with JournalBus(journal, retention=Retention(count=1)) as bus, Raced(journal) as scan:
        scan.step, scan.race = step, bus.keep_house
        seen = [*scan.walk()]
        assert bus.tail > 0
    assert [one for one in seen if isinstance(one, Finding) and one.is_damage] == []
    assert seen[-1].position > bus.recovery.head - SEGMENT_SIZE


@pytest.mark.parametrize("step", ["segment", "refresh", "bases"])
def test_segments_that_retention_takes_after_the_first_message_are_no_damage(journal, step):
    with JournalBus(journal, retention=Retention(count=1)) as bus, Raced(journal) as scan:
        walk = scan.walk()
        first = next(walk)
        bus.keep_house()                                # the second segment is gone before it is looked for

        def write():
            for _ in range(40):
                bus.write(1, 7, b"x" * 500)
            bus.keep_house()                            # and so is what the tail was then

        scan.step, scan.race = step, write
        seen = [first, *walk]
        assert bus.tail > 2 * SEGMENT_SIZE
    assert [one for one in seen if isinstance(one, Finding) and one.is_damage] == []


def test_the_size_on_the_disk_leaves_out_what_retention_takes_meanwhile(journal):
    with JournalBus(journal, retention=Retention(count=1)) as bus, Raced(journal) as scan:
        before = scan.disk_bytes()
        scan.step, scan.race = "bases", bus.keep_house
        assert 0 < scan.disk_bytes() < before
