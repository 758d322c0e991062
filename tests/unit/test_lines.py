"""The lines of a control block: who holds one, what happens when all are taken, and when they come free."""

import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from nanobus import BusClosedError, BusFullError, CircularBus, TooManyHandlesError
from services import Reading


def fill(bus):
    with pytest.raises(BusFullError):
        while True:
            bus.write(1, 1, bytes(480), timeout=0)


def test_more_handles_than_lines_are_refused_and_come_free_again():
    bus = CircularBus(4096, readers=2, writers=3)
    readers = [bus.reader() for _ in range(2)]
    writers = [bus.writer() for _ in range(2)]          # the bus has one of its own
    with pytest.raises(TooManyHandlesError, match="all 2 lines for readers"):
        bus.reader()
    with pytest.raises(TooManyHandlesError, match="all 3 lines for writers"):
        bus.writer()
    readers.pop().close()
    writers.pop().close()
    bus.reader()
    bus.writer()


def test_word_that_revokes_a_reader_is_another_one_for_each_owner_of_the_line(tmp_path, native_layout):
    bus = CircularBus(4096, tmp_path / "ring", writers=1, readers=1)
    place = native_layout.offsets()["control"]["lines"] + native_layout.offsets()["lines"]["writer"] + 24
    seen = []
    for _ in range(5):
        with bus.reader(lag_limit=1024):
            seen.append(int.from_bytes((tmp_path / "ring").read_bytes()[place : place + 4], "little"))
    assert len(set(seen)) == 5
    assert {word & 3 for word in seen} == {2}


def test_line_of_a_sender_closed_inside_its_claim_is_free_when_the_claim_ends():
    bus = CircularBus(4096)
    sender = bus.sender(1)
    with sender.claim(Reading) as reading:
        reading.value = 1.0
        sender.close()
        assert len(bus.statistics().writers) == 2
    assert len(bus.statistics().writers) == 1
    assert bus.reader().read(0).decode(Reading).value == 1.0


@pytest.mark.parametrize("writers", [1, 2, 3])
def test_writes_of_more_threads_than_there_are_lines_wait_for_room(writers):
    bus = CircularBus(4096, writers=writers)
    reader = bus.reader()
    fill(bus)
    with ThreadPoolExecutor(4) as pool:
        early = [pool.submit(bus.write, 1, 1, bytes(480), timeout=0.1) for _ in range(4)]
        for write in early:
            with pytest.raises(BusFullError, match="no room"):
                write.result(20)
        late = [pool.submit(bus.write, 2, 1, bytes(480)) for _ in range(4)]
        positions = set()
        while len(positions) < 4:
            envelope = reader.read(20)
            if envelope.source == 2:
                positions.add(envelope.position)
        assert {write.result(20) for write in late} == positions


def test_writes_that_wait_for_a_line_end_when_the_bus_is_closed():
    bus = CircularBus(4096, writers=1)
    stuck = bus.reader()
    fill(bus)
    with ThreadPoolExecutor(3) as pool:
        writes = [pool.submit(bus.write, 1, 1, bytes(480)) for _ in range(3)]
        time.sleep(0.05)
        bus.close()
        for write in writes:
            with pytest.raises(BusClosedError):
                write.result(20)
    assert stuck.closed
