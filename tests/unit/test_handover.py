"""Places on a bus that a process holds for its child, and buses that a child inherits."""

import os

import pytest

from nanobus import BusClosedError, BusFormatError, BusFullError, CircularBus, JournalBus, NanobusError


def fill(bus):
    """Write until a reader gates; return how many messages found room."""
    for written in range(100):
        try:
            bus.write(1, 1, bytes(480), timeout=0)
        except BusFullError:
            return written
    return 100


def inherited(bus):
    function, arguments, descriptors = bus.carriage()
    assert arguments[0] in descriptors
    return function(*arguments)


@pytest.mark.parametrize("named", [False, True])
def test_ring_is_had_again_by_its_descriptor(tmp_path, named):
    with CircularBus(4096, tmp_path / "ring" if named else None, timestamps=True) as bus, inherited(bus) as other:
        assert (other.capacity, other.path) == (4096, bus.path)
        reader = other.reader()
        bus.write(1, 2, b"first")
        envelope = reader.read(0)
        assert (envelope.source, envelope.message_id, envelope.payload) == (1, 2, b"first")
        assert envelope.timestamp


def test_inherited_ring_outlives_the_one_that_it_was_had_from():
    bus = CircularBus(4096)
    other = inherited(bus)
    bus.close()
    assert other.write(1, 1, b"") == 0
    del bus
    assert other.write(1, 1, b"") == 32


def test_descriptor_of_something_else_is_refused(tmp_path):
    function, _, _ = CircularBus(4096).carriage()
    (tmp_path / "file").write_bytes(bytes(1 << 16))
    with open(tmp_path / "file", "rb") as file:
        with pytest.raises(BusFormatError, match="anonymous memory is no ring: its magic number is 0x0"):
            function(file.fileno(), None)
    with open(os.devnull, "rb") as file:
        with pytest.raises(BusFormatError, match="'/a/name' is no ring: .* no regular file"):
            function(file.fileno(), "/a/name")


def test_place_gates_until_it_is_let_go():
    bus = CircularBus(4096)
    place = bus.hold()
    assert fill(bus) == 8
    assert [reader.gating for reader in bus.statistics().readers] == [True]
    place.let_go()
    place.let_go()
    assert bus.statistics().readers == ()
    assert fill(bus) == 100


def test_place_that_is_dropped_lets_go():
    bus = CircularBus(4096)
    place = bus.hold()
    assert place.reclaim() == 0
    del place
    assert bus.statistics().readers == ()


def test_place_outlives_its_bus():
    place = CircularBus(4096).hold()
    place.let_go()


@pytest.mark.parametrize("overflow", ["block", "overwrite", "journal"])
def test_reader_goes_on_from_the_place_that_it_adopts(overflow):
    with JournalBus() if overflow == "journal" else CircularBus(4096, overflow=overflow) as bus:
        bus.write(1, 1, b"before")
        place = bus.hold()
        position = bus.write(1, 1, b"after")
        reader = bus.adopt(place.ticket)
        assert reader.position == position == place.reclaim()
        assert reader.read(0).payload == b"after"
        assert place.reclaim() == bus.head
        reader.close()
        assert place.reclaim() is None
        assert bus.statistics().readers == ()


def test_place_that_was_let_go_cannot_be_adopted():
    bus = CircularBus(4096)
    place = bus.hold()
    ticket = place.ticket
    place.let_go()
    with bus.reader():                                      # in the very same line
        with pytest.raises(NanobusError, match="the place on the bus that was held for this process is gone"):
            bus.adopt(ticket)
        with pytest.raises(NanobusError, match="is gone"):
            bus.adopt((1000, 0, ticket[2]))
        place.let_go()
        assert len(bus.statistics().readers) == 1


def test_closed_bus_has_no_places():
    bus = CircularBus(4096)
    bus.close()
    with pytest.raises(NanobusError, match="the bus is closed"):
        bus.hold()


def test_journal_with_a_place_is_in_use_until_that_is_let_go(tmp_path):
    journal = JournalBus(tmp_path / "journal")
    place = journal.hold()
    journal.close()
    with JournalBus(tmp_path / "journal") as other:
        assert other.recovery.reason == "joined"
        assert len(other.statistics().readers) == 1
    place.let_go()
    with JournalBus(tmp_path / "journal") as alone:
        assert alone.recovery.reason == "clean"
        assert alone.statistics().readers == ()


def test_bus_that_is_closed_settles_nothing():
    bus = CircularBus(4096)
    bus.close()
    with pytest.raises(BusClosedError, match="the bus is closed"):
        bus.reap()


class Bell:
    rings = 0

    def ring(self):
        self.rings += 1


@pytest.mark.parametrize("kind", ["ring", "journal"])
def test_alarm_rings_when_the_bus_is_closed(kind):
    bus = CircularBus(4096) if kind == "ring" else JournalBus()
    early, late, dropped = Bell(), Bell(), Bell()
    bus.watch(early)
    bus.watch(dropped)
    del dropped
    assert early.rings == 0
    bus.close()
    bus.watch(late)
    assert (early.rings, late.rings) == (1, 1)
