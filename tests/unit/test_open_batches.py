"""A batch that is not committed: the stamps within it open it to nobody, whether its writer is at it, or died."""

import struct
import subprocess
import time

import pytest

from nanobus import CircularBus, CorruptMessageError, JournalBus
from nanobus.journal.looks import Finding
from nanobus.journal.scan import JournalScan

LENGTH = 64  # of a slot
COUNT = 3
CUTTING = 1
LINE = 1  # the bus itself has the first
HEAD, WRITERS_USED, WRITERS = 128, 448, 1024
SEGMENT_HEADER = 4096
LINES = {"writers": 4, "readers": 4}
# Its keeper would seal for the dead after a while, as it should: 1000 s are longer than any test.
PLAIN = {"segment_size": 4096, "timestamps": False, "checksum": False, "sync_interval": 1000, **LINES}


class OpenBatch:
    """What a writer leaves in the files of a bus when it stops behind the stamps within a batch.

    The order of the writes is that of the claim protocol (bus/claims.pxd), as others look on.
    """

    def __init__(self, control, slots, owner=None):
        self.control, self.slots = control, slots
        content = control.read_bytes()
        self.key, control_size = (struct.unpack_from("<Q", content, at)[0] for at in (16, 32))
        self.begin = control_size if slots == control else SEGMENT_HEADER
        self.position = struct.unpack_from("<Q", content, HEAD)[0]
        self.inner = [self.position + LENGTH * number for number in range(1, COUNT)]
        self.end = self.position + LENGTH * COUNT
        owner = struct.unpack_from("<Q", content, WRITERS)[0] if owner is None else owner
        self.put(WRITERS_USED, "<I", LINE + 1)
        self.put(WRITERS + 128 * LINE, "<QQQ", owner, self.position, LENGTH * COUNT | CUTTING)
        self.put(HEAD, "<Q", self.end)
        for position in reversed(self.inner):
            self.put_slot(position)

    def put(self, at, layout, *words):
        self.write(self.control, at, struct.pack(layout, *words))

    def put_slot(self, position):
        stamp = position + 1 ^ self.key
        content = struct.pack("<QIHHqII", stamp, 32, 5, 1, 0, 0, 0) + struct.pack("<Q", position) + bytes(24)
        self.write(self.slots, self.begin + position + 8, content[8:])
        self.write(self.slots, self.begin + position, content[:8])

    def write(self, path, at, content):
        with path.open("r+b", buffering=0) as file:
            file.seek(at)
            file.write(content)

    def commit(self):
        self.put_slot(self.position)

    def clear_intent(self):
        self.put(WRITERS + 128 * LINE + 16, "<Q", 0)
        self.put(WRITERS + 128 * LINE, "<Q", 0)


@pytest.fixture(params=["ring", "ring, overwriting", "journal"])
def bus(request, tmp_path):
    if request.param == "journal":
        made = JournalBus(tmp_path / "a", **PLAIN)
    else:
        overflow = "overwrite" if "overwriting" in request.param else "block"
        made = CircularBus(4096, tmp_path / "a", overflow=overflow, **LINES)
    with made:
        made.write(1, 1, b"before")
        yield made


@pytest.fixture
def dead():
    process = subprocess.Popen(["true"])
    process.wait()
    return 12345 << 22 | process.pid


def open_batch(tmp_path, owner=None):
    path = tmp_path / "a"
    if path.is_dir():
        return OpenBatch(path / "control", path / f"{0:016x}.segment", owner)
    return OpenBatch(path, path, owner)


def assert_closed(bus, batch):
    for position in (*batch.inner, *range(batch.position + 32, batch.end, LENGTH)):
        assert bus.read(position) is None
        for options in ({}, {"gate": False}, {"lag_limit": 1024}):
            with pytest.raises(ValueError, match=f"start must be the position of a message, .* at {position}"):
                bus.reader(position, **options)
    assert bus.read(batch.position) is None
    assert len(bus.statistics().readers) == 0


def assert_open(bus, batch):
    for position in (batch.position, *batch.inner):
        assert bus.read(position).payload[:8] == struct.pack("<Q", position)
        with bus.reader(position) as reader:
            assert reader.read(0).position == position


def go_on(bus, reader):
    """Write twice what a ring holds, reading it."""
    for number in range(24):
        bus.write(1, 1, b"%d" % number + bytes(300), timeout=20)
        assert reader.read(20).payload.startswith(b"%d" % number)


def test_batch_of_the_living_is_closed_until_its_first_message_is_committed(bus, tmp_path):
    batch = open_batch(tmp_path)
    assert_closed(bus, batch)
    with bus.reader(batch.position) as first, bus.reader(batch.end) as behind:
        assert first.read(0.01) is None
        batch.commit()
        assert_open(bus, batch)                         # the intent stands for a moment yet
        batch.clear_intent()
        assert_open(bus, batch)
        assert [first.read(0).position for _ in range(COUNT)] == [batch.position, *batch.inner]
        bus.write(1, 1, b"behind")
        assert behind.read(0).payload == first.read(0).payload == b"behind"


def test_batch_of_the_dead_is_closed_before_and_after_it_is_sealed(bus, tmp_path, dead):
    batch = open_batch(tmp_path, dead)
    assert_closed(bus, batch)
    with bus.reader() as reader:
        assert reader.read(0).payload == b"before"
        deadline = time.monotonic() + 20
        while reader.position < batch.end and time.monotonic() < deadline:
            assert reader.read(0.01) is None
    assert bus.statistics().sealed == 1
    assert bus.statistics().dead_writers == 1
    assert_closed(bus, batch)
    with bus.reader("newest") as reader:
        go_on(bus, reader)


def test_batch_whose_writer_died_before_it_cleared_the_intent_is_open(bus, tmp_path, dead):
    batch = open_batch(tmp_path, dead)
    batch.commit()
    assert_open(bus, batch)
    assert bus.statistics().dead_writers == 0           # nobody has freed the line yet
    bus.reap()
    assert (bus.statistics().sealed, bus.statistics().dead_writers) == (0, 1)
    assert_open(bus, batch)
    with bus.reader("newest") as reader:
        go_on(bus, reader)


def test_message_whose_damaged_size_leads_into_an_open_batch_leads_nobody_there(tmp_path):
    with CircularBus(4096, tmp_path / "a", checksum=True, **LINES) as bus:
        bus.write(1, 1, b"before")
        batch = open_batch(tmp_path)
        batch.put(batch.begin + 8, "<I", batch.inner[0] - 32)
        with bus.reader() as reader:
            with pytest.raises(CorruptMessageError):
                reader.read(0)
            assert reader.position not in batch.inner


def test_look_at_a_journal_sees_nothing_of_an_open_batch(tmp_path, dead):
    with JournalBus(tmp_path / "a", **PLAIN) as bus:
        bus.write(1, 1, b"before")
        batch = open_batch(tmp_path, dead)
        behind = bus.write(1, 1, b"behind")
        with JournalScan(tmp_path / "a") as scan:
            for position in range(batch.position, batch.end, 32):
                assert scan.read(position) is None
                found, last = scan.walk(position)
                assert isinstance(found, Finding)
                assert (found.kind, found.position, found.resumes) == ("claim", batch.position, batch.end)
                assert last.position == behind
            assert [one.position for one in scan.walk(behind)] == [behind]
            batch.commit()
            for position in batch.inner:
                assert scan.read(position).position == position
                assert next(scan.walk(position)).position == position


def test_look_goes_on_at_the_open_batch_behind_damage_and_not_within_it(tmp_path):
    with JournalBus(tmp_path / "a", **PLAIN) as bus:
        bus.write(1, 1, b"before")
        batch = open_batch(tmp_path)
        batch.write(batch.slots, batch.begin, bytes(8))
        with JournalScan(tmp_path / "a") as scan:
            damage, claim = scan.walk()
            assert (damage.kind, damage.position, damage.resumes) == ("slot", 0, batch.position)
            assert (claim.kind, claim.position, claim.resumes) == ("claim", batch.position, batch.end)
            assert [one.position for one in scan.walk(batch.inner[0])] == [batch.position]
        batch.commit()
        batch.clear_intent()
