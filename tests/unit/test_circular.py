"""What only a ring does: it is full, it laps, it lives in a file."""

import mmap
import os
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from nanobus import (
    BusFormatError,
    BusFullError,
    CircularBus,
    CorruptMessageError,
    Gap,
    MappingError,
    NanobusError,
)


def fill(bus, size=480):
    """Write until the ring holds no more of this size; return how many."""
    count = 0
    while True:
        try:
            bus.write(1, 1, bytes(size), timeout=0)
        except BusFullError:
            return count
        count += 1


@pytest.mark.parametrize("capacity", [0, 1, 4095, 5000, 2048, -4096, 3 << 20])
def test_capacity_must_be_a_power_of_two_of_at_least_a_page(capacity):
    with pytest.raises(ValueError, match=rf"capacity must be .* got {capacity}"):
        CircularBus(capacity)


@pytest.mark.parametrize(
    ("arguments", "rule"),
    [
        ({"overflow": "drop"}, "overflow must be one of 'block', 'error', 'overwrite', got 'drop'"),
        ({"wait": None}, "wait must be one of 'block', 'spin', 'yield', got None"),
        ({"writers": 0}, r"writers must be in 1\.\.1024, got 0"),
        ({"readers": 1025}, r"readers must be in 1\.\.1024, got 1025"),
    ],
)
def test_bad_parameter_is_refused_by_rule_and_value(arguments, rule):
    with pytest.raises(ValueError, match=rule):
        CircularBus(4096, **arguments)


def test_absurd_capacity_is_an_error_with_its_number():
    with pytest.raises(MappingError) as caught:
        CircularBus(1 << 60)
    assert caught.value.errno


def test_bus_that_was_never_made_refuses_by_name():
    bus = CircularBus.__new__(CircularBus)
    for use in (bus.statistics, bus.reader, lambda: bus.write(1, 1, b""), lambda: bus.head):
        with pytest.raises(NanobusError):
            use()
    bus.close()


def test_writer_is_told_at_once_that_the_ring_is_full():
    bus = CircularBus(4096, overflow="error")
    reader = bus.reader()
    assert fill(bus) == 8
    with pytest.raises(BusFullError, match="no room for 480 bytes: head at 4096, the slowest reader .* at 0"):
        bus.write(1, 1, bytes(480))
    reader.read(0)
    bus.write(1, 1, bytes(480))
    assert bus.statistics().full >= 2


def test_writer_that_waits_is_told_after_its_timeout():
    bus = CircularBus(4096)
    reader = bus.reader()
    fill(bus)
    started = time.monotonic()
    with pytest.raises(BusFullError, match=r"within 0\.05 s"):
        bus.write(1, 1, bytes(480), timeout=0.05)
    assert time.monotonic() - started >= 0.05
    reader.close()


def test_writer_that_waits_goes_on_when_the_reader_does():
    bus = CircularBus(4096)
    reader = bus.reader()
    written = fill(bus)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(bus.write, 1, 2, bytes(480))
        time.sleep(0.05)
        assert not waiting.done()
        seen = [reader.read(20).message_id for _ in range(written + 1)]
        waiting.result(20)
    assert seen == [1] * written + [2]


def test_other_threads_write_while_one_waits_for_room():
    bus = CircularBus(4096)
    reader = bus.reader()
    fill(bus)
    with ThreadPoolExecutor(2) as pool:
        waiting = [pool.submit(bus.write, source, 2, bytes(480)) for source in (1, 2)]
        seen = [reader.read(20) for _ in range(10)]
        for one in waiting:
            one.result(20)
    assert sorted(envelope.source for envelope in seen[8:]) == [1, 2]


def test_ring_without_gating_readers_never_fills():
    bus = CircularBus(4096)
    observer = bus.reader(gate=False)
    for _ in range(100):
        bus.write(1, 1, bytes(480), timeout=0)
    assert isinstance(observer.read(0), Gap)


def test_lapped_reader_is_told_where_messages_are_missing_and_goes_on():
    bus = CircularBus(4096, overflow="overwrite")
    reader = bus.reader()
    positions = [bus.write(1, 1, number.to_bytes(4, "little") + bytes(476)) for number in range(20)]
    gap = reader.read(0)
    assert gap == Gap(0, gap.resumed_at)
    assert gap.resumed_at in positions
    rest = list(iter(lambda: reader.read(0), None))
    assert [envelope.position for envelope in rest] == [one for one in positions if one >= gap.resumed_at]
    assert rest
    (statistics,) = bus.statistics().readers
    assert (statistics.gaps, statistics.lost_bytes, statistics.gating) == (1, gap.resumed_at, False)


def test_reader_behind_but_not_lapped_reads_intact():
    bus = CircularBus(4096, overflow="overwrite")
    reader = bus.reader()
    for number in range(8):
        bus.write(1, 1, bytes([number]) * 480)
    assert [envelope.payload for envelope in iter(lambda: reader.read(0), None)] == [bytes([n]) * 480 for n in range(8)]


def test_overwritten_message_cannot_be_read_by_position():
    bus = CircularBus(4096, overflow="overwrite")
    first = bus.write(1, 1, bytes(480))
    for _ in range(8):
        last = bus.write(1, 1, bytes(480))
    assert bus.read(first) is None
    assert bus.read(last).position == last


def test_oldest_after_many_laps_is_within_the_last_lap():
    bus = CircularBus(4096)
    for _ in range(1000):
        bus.write(1, 1, bytes(64))
    reader = bus.reader()
    assert bus.head - 4096 <= reader.position <= bus.head - 4096 + 2 * 96
    expected = (bus.head - reader.position) // 96
    assert len(list(iter(lambda: reader.read(0), None))) == expected


def test_reader_from_the_oldest_may_be_overtaken_only_before_writers_know_of_it():
    bus = CircularBus(4096)
    for _ in range(1000):
        bus.write(1, 1, bytes(64))
    reader = bus.reader()
    written = 0
    while True:
        try:
            bus.write(1, 2, bytes(64), timeout=0)
        except BusFullError:
            break
        written += 1
    assert isinstance(reader.read(0), Gap)
    seen = [envelope.message_id for envelope in iter(lambda: reader.read(0), None)]
    assert seen[-written:] == [2] * min(written, len(seen))
    assert len(seen) >= 20
    assert bus.statistics().gate == bus.head


def test_start_that_was_overwritten_is_refused_with_the_oldest():
    bus = CircularBus(4096)
    for _ in range(1000):
        bus.write(1, 1, bytes(64))
    with pytest.raises(ValueError, match="must not be overwritten yet: the oldest message is past"):
        bus.reader(96)


def test_message_longer_than_the_way_to_the_ring_s_end_is_not_split():
    bus = CircularBus(4096)
    reader = bus.reader()
    for number in range(200):
        payload = bytes([number]) * (2016 - number)
        bus.write(1, 1, payload, timeout=0)
        assert reader.read(0).payload == payload


def test_reader_that_lags_past_its_limit_is_detached_and_counted():
    bus = CircularBus(4096)
    reader = bus.reader(lag_limit=1024)
    for _ in range(100):
        bus.write(1, 1, bytes(480), timeout=0)
    assert isinstance(reader.read(0), Gap)
    statistics = bus.statistics()
    assert statistics.revoked_readers == 1
    assert not statistics.readers[0].gating
    with pytest.raises(ValueError, match="lag_limit must be > 0 bytes"):
        bus.reader(lag_limit=0)
    with pytest.raises(ValueError, match="lag_limit must be > 0 bytes.* got True"):
        bus.reader(lag_limit=True)


def test_timestamps_are_the_time_of_the_commit():
    bus = CircularBus(4096, timestamps=True)
    before = time.time_ns()
    timestamp = bus.read(bus.write(1, 1, b"")).timestamp
    assert before <= timestamp <= time.time_ns()


# ---- in a file -------------------------------------------------------------------------------------------------------

def test_two_objects_on_one_file_are_one_bus(tmp_path):
    path = tmp_path / "ring"
    first, second = CircularBus(8192, path, timestamps=True), CircularBus(path=path)
    assert second.capacity == 8192
    reader = second.reader()
    position = first.write(1, 2, b"shared")
    envelope = reader.read(0)
    assert (envelope.position, envelope.payload) == (position, b"shared")
    assert envelope.timestamp
    first.close()
    second.write(1, 1, b"still there")
    assert (os.stat(path).st_mode & 0o777) == 0o600


def test_file_that_does_not_exist_needs_a_capacity(tmp_path):
    with pytest.raises((MappingError, ValueError, TypeError)):
        CircularBus(path=tmp_path / "nothing")
    assert os.listdir(tmp_path) == []


def test_other_capacity_than_the_file_s_is_refused(tmp_path):
    CircularBus(8192, tmp_path / "ring")
    with pytest.raises(BusFormatError, match="is a ring of 8192 bytes, not 4096"):
        CircularBus(4096, tmp_path / "ring")


@pytest.mark.parametrize("content", [b"", b"x", bytes(100_000), os.urandom(65536)])
def test_file_that_is_no_ring_is_refused(tmp_path, content):
    (tmp_path / "file").write_bytes(content)
    os.chmod(tmp_path / "file", 0o600)
    with pytest.raises(BusFormatError):
        CircularBus(4096, tmp_path / "file")
    assert (tmp_path / "file").read_bytes() == content


@pytest.mark.parametrize("offset", range(128))
def test_flipped_byte_in_the_identity_is_refused(tmp_path, offset):
    path = tmp_path / "ring"
    CircularBus(8192, path).close()
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        content[offset] ^= 0x15
    with pytest.raises(BusFormatError):
        CircularBus(path=path)


@pytest.mark.parametrize("size", [0, 1, 1000, 4096, 20000])
def test_shortened_file_is_refused(tmp_path, size):
    path = tmp_path / "ring"
    CircularBus(8192, path).close()
    os.truncate(path, size)
    with pytest.raises((BusFormatError, MappingError)):
        CircularBus(path=path)


@pytest.mark.parametrize("gate", [True, False])
def test_flipped_byte_is_found_by_the_checksum_and_the_reader_goes_on(tmp_path, gate):
    path = tmp_path / "ring"
    bus = CircularBus(8192, path, checksum=True)
    bus.write(1, 1, b"a" * 100)
    bus.write(1, 1, b"b" * 100)
    with open(path, "r+b") as file, mmap.mmap(file.fileno(), 0) as content:
        content[content.find(b"a" * 100) + 50] ^= 1
    reader = bus.reader(gate=gate)
    with pytest.raises(CorruptMessageError, match="message at 0"):
        reader.read(0)
    with pytest.raises(CorruptMessageError, match="message at 0"):
        bus.read(0)
    assert reader.read(0).payload == b"b" * 100
