"""JournalBus: segments and their edges, reopening, where readers start, what is durable, what it tells of itself."""

import gc
import math
import threading
from datetime import UTC, datetime, timedelta

import pytest

from nanobus import (
    BusClosedError,
    BusFormatError,
    Handler,
    JournalBus,
    MessageTooLargeError,
    Messenger,
    NanobusError,
    Recovery,
    Worker,
)
from services import Number, Reading

SEGMENT = 4096
HEADER = 32


def payloads(reader):
    found = []
    while (envelope := reader.read(0)) is not None:
        found.append(envelope.payload)
    return found


@pytest.fixture(params=["on disk", "in memory"])
def bus(request, tmp_path):
    path = tmp_path / "journal" if request.param == "on disk" else None
    with JournalBus(path, segment_size=SEGMENT) as made:
        yield made


# ---- the edges of a segment ----

def test_message_that_exactly_fits_the_rest_of_a_segment_ends_it(bus):
    bus.write(1, 1, bytes(1000))
    rest = SEGMENT - bus.head
    position = bus.write(1, 1, b"x" * (rest - HEADER))
    assert (position, bus.head) == (SEGMENT - rest, SEGMENT)
    assert bus.write(1, 1, b"next") == SEGMENT
    assert payloads(bus.reader()) == [bytes(1000), b"x" * (rest - HEADER), b"next"]


@pytest.mark.parametrize("more", [1, 31, 32, 33])
def test_message_that_is_too_long_for_the_rest_of_a_segment_begins_the_next(bus, more):
    bus.write(1, 1, bytes(1000))
    rest = SEGMENT - bus.head
    long = b"y" * (rest - HEADER + more)
    assert bus.write(1, 1, long) == SEGMENT
    assert payloads(bus.reader()) == [bytes(1000), long]


def test_rest_of_one_slot_header_is_padded(bus):
    bus.write(1, 1, bytes(SEGMENT - 2 * HEADER))
    assert bus.head == SEGMENT - HEADER
    assert bus.write(1, 1, b"x") == SEGMENT
    assert payloads(bus.reader()) == [bytes(SEGMENT - 2 * HEADER), b"x"]


def test_rest_of_one_slot_header_takes_an_empty_message(bus):
    bus.write(1, 1, bytes(SEGMENT - 2 * HEADER))
    assert bus.write(1, 1, b"") == SEGMENT - HEADER
    assert bus.head == SEGMENT


def test_message_as_large_as_a_segment_fills_one(bus):
    assert bus.max_payload == SEGMENT - HEADER
    bus.write(1, 1, b"small")
    large = bytes(range(256)) * 15 + bytes(bus.max_payload - 3840)
    assert [bus.write(1, 1, large), bus.write(1, 1, large)] == [SEGMENT, 2 * SEGMENT]
    assert payloads(bus.reader()) == [b"small", large, large]


def test_message_larger_than_a_segment_is_refused_and_nothing_is_written(bus):
    with pytest.raises(MessageTooLargeError, match="4064"):
        bus.write(1, 1, bytes(bus.max_payload + 1))
    assert bus.head == 0


def test_messages_larger_than_a_chunk_grow_the_file(tmp_path):
    with JournalBus(tmp_path / "journal", segment_size=1 << 23) as bus:
        sizes = [3 << 20, 1, 1 << 20, (1 << 23) - HEADER, 5]
        for size in sizes:
            bus.write(1, 1, b"z" * size)
        assert [len(payload) for payload in payloads(bus.reader())] == sizes
        assert bus.read(7 << 20) is None


def test_many_segments_are_read_in_order(bus):
    for number in range(2000):
        bus.write(1, 1, b"%d" % number)
    assert payloads(bus.reader()) == [b"%d" % number for number in range(2000)]
    assert bus.statistics().segments >= 2000 * 64 // SEGMENT


# ---- reopening ----

def test_reopened_journal_goes_on_where_it_ended(tmp_path):
    with JournalBus(tmp_path / "journal", segment_size=SEGMENT) as bus:
        assert bus.recovery == Recovery("new", head=0)
        for number in range(100):
            bus.write(number, 2, b"%d" % number)
        head = bus.head
    with JournalBus(tmp_path / "journal") as bus:
        assert bus.recovery == Recovery("clean", head=head)
        assert (bus.head, bus.segment_size) == (head, SEGMENT)
        assert bus.write(1, 2, b"more") == head
        assert payloads(bus.reader()) == [*[b"%d" % number for number in range(100)], b"more"]


def test_second_opening_joins_and_sees_what_the_first_writes(tmp_path):
    with JournalBus(tmp_path / "journal", segment_size=SEGMENT) as first, JournalBus(tmp_path / "journal") as second:
        assert second.recovery.reason == "joined"
        reader = second.reader()
        for number in range(300):
            (first, second)[number % 2].write(1, 1, b"%d" % number)
        assert payloads(reader) == [b"%d" % number for number in range(300)]


def test_journal_dropped_without_being_closed_is_put_right(tmp_path):
    bus = JournalBus(tmp_path / "journal", segment_size=SEGMENT)
    bus.write(1, 1, b"kept")
    reader = bus.reader("here")
    del bus, reader
    gc.collect()
    with JournalBus(tmp_path / "journal") as bus:
        assert payloads(bus.reader("here")) == [b"kept"]


def test_closed_journal_refuses_everything_by_name(tmp_path):
    bus = JournalBus(tmp_path / "journal", segment_size=SEGMENT)
    reader, writer = bus.reader(), bus.writer()
    bus.close()
    bus.close()
    for call in (
        lambda: bus.write(1, 1, b""), lambda: bus.read(0), bus.reader, bus.writer, bus.sync, bus.cursors,
        bus.statistics, lambda: bus.head, lambda: bus.tail, lambda: bus.durable, lambda: bus.drop_cursor("a"),
        lambda: reader.read(0), lambda: writer.write(1, 1, b""),
    ):
        with pytest.raises(BusClosedError):
            call()
    assert bus.keep_house() is None


def test_journal_is_initialised_once(bus):
    with pytest.raises(TypeError, match="once"):
        bus.__init__(None)


def test_thread_of_a_journal_that_nobody_has_ends_at_once(tmp_path):
    bus = JournalBus(tmp_path / "journal", segment_size=SEGMENT, sync_interval=10_000.0)
    threads = [thread for thread in threading.enumerate() if thread.name == "nanobus-journal"]
    assert threads
    del bus
    gc.collect()
    for thread in threads:
        thread.join(20)
    assert not any(thread.is_alive() for thread in threads)


# ---- parameters ----

@pytest.mark.parametrize("size", [0, 4095, 5000, 2048, 1 << 31, "4096", 4096.0, True, -4096])
def test_segment_size_that_is_no_power_of_two_in_range_is_refused(tmp_path, size):
    with pytest.raises(ValueError, match="segment_size must be a power of two"):
        JournalBus(tmp_path / "journal", segment_size=size)
    assert not (tmp_path / "journal").exists()


@pytest.mark.parametrize("options", [
    {"sync": "always"}, {"sync": None}, {"sync_interval": 0}, {"sync_interval": math.nan}, {"sync_interval": "1"},
    {"sync_interval": math.inf}, {"wait": "sleep"}, {"writers": 0}, {"writers": 1025}, {"readers": 0},
    {"readers": 1.5},
])  # fmt: skip
def test_wrong_parameter_is_refused_by_name(tmp_path, options):
    with pytest.raises((ValueError, TypeError), match=next(iter(options))):
        JournalBus(tmp_path / "journal", **options)
    assert not (tmp_path / "journal").exists()


def test_retention_must_be_one(tmp_path):
    with pytest.raises(TypeError, match="Retention"):
        JournalBus(tmp_path / "journal", retention=3)


def test_other_segment_size_than_the_journal_has_is_refused(tmp_path):
    JournalBus(tmp_path / "journal", segment_size=SEGMENT).close()
    with pytest.raises(BusFormatError, match="4096 bytes, not 8192"):
        JournalBus(tmp_path / "journal", segment_size=8192)


# ---- where readers start ----

def test_reader_starts_at_the_oldest_the_newest_or_a_message(bus):
    positions = [bus.write(1, 1, b"%d" % number) for number in range(200)]
    assert payloads(bus.reader("newest")) == []
    assert bus.reader("oldest").read(0).payload == b"0"
    for number in (0, 1, 63, 64, 65, 199):
        assert bus.reader(positions[number]).read(0).payload == b"%d" % number
    assert bus.reader(bus.head).read(0) is None


@pytest.mark.parametrize("start", [1, 32 + 16, 32, 10**9, 2**64 - 1])
def test_start_that_is_no_message_is_refused(bus, start):
    for _ in range(10):
        bus.write(1, 1, bytes(100))
    with pytest.raises(ValueError, match="start must be"):
        bus.reader(start)
    assert bus.statistics().readers == ()


def test_reader_starts_at_a_time_in_any_segment(bus):
    written = [bus.write(1, 1, bytes(500)) for _ in range(60)]
    envelopes = {position: bus.read(position) for position in written}
    for position in written:
        moment = datetime.fromtimestamp(envelopes[position].timestamp // 1000 / 1e6, UTC)
        reader = bus.reader(moment)
        found = reader.read(0)
        assert found.position <= position
        assert found.timestamp >= envelopes[position].timestamp - 2000
        reader.close()


def test_time_before_everything_is_the_oldest_and_after_it_the_newest(bus):
    for number in range(100):
        bus.write(1, 1, b"%d" % number)
    now = datetime.now(UTC)
    assert bus.reader(now - timedelta(days=1)).read(0).payload == b"0"
    assert bus.reader(now + timedelta(days=1)).position == bus.head


@pytest.mark.parametrize("year", [1, 1600, 2300, 9999])
def test_time_that_no_message_can_have_is_before_or_behind_all(bus, year):
    bus.write(1, 1, b"now")
    reader = bus.reader(datetime(year, 1, 1, tzinfo=UTC))
    assert reader.position == (0 if year < 2000 else bus.head)


def test_time_needs_a_zone_and_a_journal_with_timestamps():
    with JournalBus(segment_size=SEGMENT) as bus, pytest.raises(ValueError, match="aware"):
        bus.reader(datetime.now())
    with JournalBus(segment_size=SEGMENT, timestamps=False) as bus, pytest.raises(ValueError, match="timestamps"):
        bus.reader(datetime.now(UTC))


def test_read_of_a_position_finds_messages_and_nothing_else(bus):
    written = {bus.write(1, 1, b"%d" % number * (number % 60)): number for number in range(150)}
    for position in range(0, bus.head + 3 * SEGMENT, 16):
        found = bus.read(position)
        expected = written.get(position)
        assert (found and found.payload) == (None if expected is None else b"%d" % expected * (expected % 60))


@pytest.mark.parametrize("position", [-1, 2**64, 1.0, None, "0"])
def test_position_that_is_none_is_refused(bus, position):
    with pytest.raises((ValueError, TypeError), match="position"):
        bus.read(position)


# ---- what is durable, what it tells ----

def test_durable_stays_behind_until_synced(tmp_path):
    with JournalBus(tmp_path / "journal", segment_size=1 << 20, sync_interval=1000) as bus:
        bus.write(1, 1, bytes(100))
        assert bus.durable == 0
        bus.sync()
        assert bus.durable == bus.head
        bus.write(1, 1, bytes(100))
        assert bus.durable < bus.head
        bus.keep_house()
        assert bus.durable < bus.head


def test_whole_segments_are_synced_without_being_asked(tmp_path):
    with JournalBus(tmp_path / "journal", segment_size=SEGMENT, sync_interval=1000) as bus:
        for _ in range(100):
            bus.write(1, 1, bytes(100))
        bus.keep_house()
        assert bus.durable == bus.head


def test_commit_means_that_a_returned_write_is_durable(tmp_path):
    with JournalBus(tmp_path / "journal", segment_size=SEGMENT, sync="commit", sync_interval=1000) as bus:
        for number in range(20):
            bus.write(1, 1, bytes(50 * number))
            assert bus.durable == bus.head


def test_several_threads_share_their_syncs(tmp_path):
    with JournalBus(tmp_path / "journal", segment_size=SEGMENT, sync="commit") as bus:
        positions, errors = [], []

        def write(source):
            try:
                with bus.writer() as writer:
                    for number in range(30):
                        position = writer.write(source, 1, b"%d" % number)
                        assert bus.durable > position
                        positions.append(position)
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=write, args=[source]) for source in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert not errors
        assert len(set(positions)) == 120 == len(payloads(bus.reader()))


def test_claim_that_ends_does_not_wait_for_later_claims_of_others(tmp_path):
    with JournalBus(tmp_path / "journal", segment_size=SEGMENT, sync="commit", sync_interval=1000) as bus:
        first, other, second = bus.sender(1).claim(Reading), bus.sender(2), bus.sender(3).claim(Reading)
        second_opened, first_ended = threading.Event(), threading.Event()

        def claim_later():
            with second:
                second_opened.set()
                first_ended.wait(60)

        thread = threading.Thread(target=claim_later)
        with first:
            other.send(Number(1))                       # behind the first claim: its end makes both durable
            thread.start()
            second_opened.wait(60)
            durable = bus.durable
        assert bus.durable >= durable + 2 * 64
        assert bus.durable < bus.head
        first_ended.set()
        thread.join(60)
        assert bus.durable == bus.head


@pytest.mark.parametrize("sync", ["none", "commit"])
def test_sync_inside_an_open_claim_of_the_same_thread_is_refused(tmp_path, sync):
    with JournalBus(tmp_path / "journal", segment_size=SEGMENT, sync=sync, sync_interval=1000) as bus:
        with bus.sender(1).claim(Reading), pytest.raises(NanobusError, match="leave the `with claim"):
            bus.sync()
        bus.sync()
        assert bus.durable == bus.head


def test_writer_in_a_cycle_that_is_collected_lets_go_of_its_line(bus):
    class Owner:
        pass

    lines = len(bus.statistics().writers)
    owner = Owner()
    owner.own = owner
    owner.writer = bus.writer()
    owner.writer.write(1, 1, b"x")
    owner.bus = JournalBus(segment_size=SEGMENT)
    owner.other = owner.bus.writer()
    owner.other.write(1, 1, b"x")
    del owner
    gc.collect()
    assert len(bus.statistics().writers) == lines


def test_what_a_handler_sends_past_its_own_open_claim_waits_for_its_end(tmp_path):
    class Claiming(Handler, id=57):
        def on_start(self):
            with self.claim(Reading) as reading:
                reading.number = 1
                bus.write(58, 1, b"inside")
                self.send(Number(2))
            assert bus.durable == bus.head
            self.stop()

    with JournalBus(tmp_path / "journal", segment_size=SEGMENT, sync="commit", sync_interval=1000) as bus:
        with Messenger(bus, [Worker("a", [Claiming])]).run() as handles:
            handles.join()
        reader = bus.reader()
        assert [one.source for one in iter(lambda: reader.read(0), None)] == [57, 58, 57]


@pytest.mark.parametrize("sync", ["interval", "commit"])
def test_closing_leaves_everything_on_the_disk(tmp_path, sync):
    with (
        JournalBus(tmp_path / "journal", segment_size=SEGMENT, sync_interval=1000) as other,
        JournalBus(tmp_path / "journal", sync=sync, sync_interval=1000) as bus,
    ):
        other.write(1, 1, b"x")
        bus.close()
        assert other.durable == other.head > 0


def test_keeper_syncs_by_itself(tmp_path):
    with JournalBus(tmp_path / "journal", segment_size=SEGMENT, sync="interval", sync_interval=0.01) as bus:
        bus.write(1, 1, b"x")
        for _ in range(2000):
            if bus.durable == bus.head:
                break
            threading.Event().wait(0.01)
        assert bus.durable == bus.head


def test_statistics_count_what_happened(tmp_path):
    with JournalBus(tmp_path / "journal", segment_size=SEGMENT, sync_interval=1000) as bus:
        reader = bus.reader()
        for _ in range(50):
            bus.write(1, 1, bytes(100))
        reader.read(0)
        statistics = bus.statistics()
        assert (statistics.committed, statistics.committed_bytes) == (50, 5000)
        assert (statistics.tail, statistics.durable, statistics.head) == (0, 0, bus.head)
        assert statistics.capacity == SEGMENT
        assert statistics.segments == 50 * 160 // SEGMENT + 1
        assert [one.lag for one in statistics.readers] == [bus.head - reader.position]
