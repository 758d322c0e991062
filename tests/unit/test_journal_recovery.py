"""What opening a journal puts right after its machine or its users died, on files prepared by hand."""

import struct

import pytest

from nanobus import CorruptJournalError, CorruptMessageError, JournalBus, Record, message, u64

SEGMENT = 4096
LINES = {"writers": 2, "readers": 2}
BLOCK = 1024 + 128 * 4  # of the control file: tail, its check, durable, its check, syncing, sync error, boot id
BOOT = BLOCK + 48


@message(id=9)
class Point(Record):
    number: u64


def make(path, **options):
    return JournalBus(path, segment_size=SEGMENT, sync_interval=1000, **LINES, **options)


def change(path, at, content):
    with path.open("r+b") as file:
        file.seek(at)
        file.write(content)


def reboot(path):
    change(path / "control", BOOT, b"another boot id.")


def payloads(bus):
    reader = bus.reader(gate=False)
    return [envelope.payload for envelope in iter(lambda: reader.read(0), None)]


@pytest.fixture
def path(tmp_path):
    """A journal of twelve messages of 544 bytes in the log: five in its second segment."""
    with make(tmp_path / "journal") as bus:
        for number in range(12):
            bus.write(1, 1, b"%02d" % number + bytes(510))
    return tmp_path / "journal"


def test_sound_journal_loses_nothing_by_a_reboot(path):
    with make(path) as bus:
        head = bus.head
        bus.write(1, 1, bytes(900))
        bus.keep_house()  # makes the next segment, which is empty
        assert bus.statistics().segments == 3
    reboot(path)
    with make(path) as bus:
        assert (bus.recovery.reason, bus.recovery.cut_bytes, bus.recovery.cut_from) == ("reboot", 0, None)
        assert bus.head == head + 960
        assert bus.statistics().segments == 2
        assert bus.durable == bus.head


def test_torn_message_is_where_a_reboot_cuts_and_nothing_behind_comes_back(path):
    torn = SEGMENT + 2 * 544
    change(path / f"{SEGMENT:016x}.segment", 4096 + 2 * 544 + 300, b"torn")
    reboot(path)
    with make(path) as bus:
        assert (bus.recovery.reason, bus.recovery.cut_from, bus.head) == ("reboot", torn, torn)
        assert 2 * 544 < bus.recovery.cut_bytes <= 3 * 544
        assert [payload[:2] for payload in payloads(bus)] == [b"%02d" % number for number in range(9)]
        bus.write(1, 1, bytes(512))
        assert bus.read(torn + 544) is None
        assert len(payloads(bus)) == 10


def test_what_was_synced_is_not_looked_at_again(path):
    with make(path) as bus:
        bus.sync()
        head = bus.head
    change(path / f"{SEGMENT:016x}.segment", 4096 + 2 * 544 + 300, b"torn")
    reboot(path)
    with make(path) as bus:
        assert (bus.recovery.cut_bytes, bus.head) == (0, head)
        reader = bus.reader()
        assert len([reader.read(0) for _ in range(9)]) == 9
        with pytest.raises(CorruptMessageError):
            reader.read(0)
        assert reader.read(0).payload[:2] == b"10"


def test_control_file_as_new_does_not_make_the_journal_new(path):
    """The disk may have kept the segments, and of the control file only what it was made with."""
    change(path / "control", 128, bytes(8))
    change(path / "control", BLOCK, bytes(64))
    change(path / f"{SEGMENT:016x}.segment", 4096 + 2 * 544 + 300, b"torn")
    with make(path) as bus:
        assert (bus.recovery.reason, bus.head) == ("reboot", SEGMENT + 2 * 544)
        assert len(payloads(bus)) == 9


def test_journal_whose_unsynced_segments_are_all_gone_starts_where_it_was(path):
    change(path / "control", BLOCK, bytes(32))  # nothing was promised
    for file in path.glob("*.segment"):
        file.write_bytes(b"")
    reboot(path)
    for _ in range(3):
        with make(path) as bus:
            assert bus.head == 0
            assert payloads(bus) == []
    with make(path) as bus:
        bus.write(1, 1, b"new")
        assert payloads(bus) == [b"new"]


def test_promised_segments_that_are_gone_are_damage(path):
    with make(path) as bus:
        bus.sync()
    for file in path.glob("*.segment"):
        file.unlink()
    reboot(path)
    with pytest.raises(CorruptJournalError, match="no segments"):
        make(path)


def test_last_segment_that_is_gone_is_damage_where_the_machine_ran_on(path):
    (path / f"{SEGMENT:016x}.segment").unlink()
    with make(path) as bus:
        reader = bus.reader()
        assert len([reader.read(0) for _ in range(7)]) == 7
        with pytest.raises(CorruptJournalError, match="missing"):
            reader.read(0)
        with pytest.raises(CorruptJournalError, match="missing"):
            bus.write(1, 1, b"x")


@pytest.mark.parametrize("head", [0, 544, SEGMENT, 31, 1 << 40, 2**64 - 32])
def test_damaged_head_is_found_again(path, head):
    with make(path) as bus:
        true = bus.head
        bus.write(1, 1, bytes(900))
        bus.keep_house()
        true = bus.head
    change(path / "control", 128, struct.pack("<Q", head))
    with make(path) as bus:
        assert bus.head == true
        assert len(payloads(bus)) == 13


def test_padding_whose_size_is_damaged_hides_no_message(tmp_path):
    path = tmp_path / "journal"
    with make(path) as bus:
        bus.write(1, 1, b"first")
        with pytest.raises(ZeroDivisionError), bus.sender(1) as sender, sender.claim(Point) as point:
            point.number = 1 // 0
        bus.write(1, 1, b"hidden")
        bus.write(1, 1, b"last")
    change(path / f"{0:016x}.segment", 4096 + 64 + 8, struct.pack("<I", 96))  # it ends where "last" begins
    with make(path) as bus:
        reader = bus.reader()
        assert reader.read(0).payload == b"first"
        with pytest.raises(CorruptMessageError):
            reader.read(0)


def test_message_that_turns_into_padding_is_told(path):
    change(path / f"{0:016x}.segment", 4096 + 544 + 14, b"\x00\xff")
    with make(path) as bus:
        reader = bus.reader()
        reader.read(0)
        with pytest.raises(CorruptMessageError):
            reader.read(0)
        assert reader.read(0).payload[:2] == b"02"


@pytest.mark.parametrize("written", range(1, 5))
def test_recovery_after_a_refused_sync_that_was_killed_is_finished_by_the_next(path, written):
    """Of what it stores at its end in this order: head, durable, its check, the sync error."""
    control = path / "control"
    change(path / "0000000000000000.segment", 4096 + 3 * 544, bytes(4096 - 3 * 544))    # lost by the kernel
    key = struct.unpack_from("<Q", control.read_bytes(), 16)[0]
    for at, value in (BLOCK + 16, 0), (BLOCK + 24, key), (BLOCK + 40, 5):               # nothing is on the disk
        change(control, at, struct.pack("<Q", value))
    before = control.read_bytes()
    with make(path) as bus:
        assert (bus.recovery.reason, bus.head) == ("refused", 3 * 544)
    after = control.read_bytes()
    places = [128, BLOCK + 16, BLOCK + 24, BLOCK + 40]
    torn = bytearray(before)
    for place in places[:written]:
        torn[place : place + 8] = after[place : place + 8]
    control.write_bytes(torn)
    with make(path) as bus:
        assert bus.head == 3 * 544
        bus.write(1, 1, b"more")
        assert [one[:2] for one in payloads(bus)] == [b"00", b"01", b"02", b"mo"]
