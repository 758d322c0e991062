"""Old segments go: by size, age and count, never under a registered reader, and never unnoticed."""

import contextlib
import os
import threading
import time
from datetime import timedelta
from typing import Annotated

import pytest

from nanobus import Gap, JournalBus, Record, Retention, message, u64

SEGMENT = 4096


@message(id=2501)
class Whole(Record):
    """As large as a segment."""

    number: u64
    rest: Annotated[bytes, SEGMENT - 32 - 8]


@pytest.fixture(params=["on disk", "in memory"])
def path(request, tmp_path):
    return tmp_path / "journal" if request.param == "on disk" else None


def make(path, **options):
    return JournalBus(path, segment_size=SEGMENT, sync_interval=1000, **options)


def fill(bus, segments):
    for _ in range(segments):
        bus.write(1, 1, bytes(bus.max_payload))


def test_count_keeps_the_newest_segments(path):
    with make(path, retention=Retention(count=3)) as bus:
        fill(bus, 10)
        bus.write(1, 1, b"x")
        bus.keep_house()
        assert (bus.tail, bus.statistics().segments) == (8 * SEGMENT, 3)
        assert bus.reader().read(0).position == 8 * SEGMENT


def test_size_keeps_whole_segments_within_it(path):
    with make(path, retention=Retention(size=5 * SEGMENT + 1)) as bus:
        fill(bus, 10)
        bus.write(1, 1, b"x")
        bus.keep_house()
        assert bus.tail == 6 * SEGMENT


def test_age_counts_from_the_last_message_of_a_segment(path):
    with make(path, retention=Retention(age=0.3)) as bus:
        began = time.monotonic()
        fill(bus, 2)
        bus.write(1, 1, b"x")
        bus.keep_house()
        assert bus.tail == 0 or time.monotonic() - began >= 0.3
        threading.Event().wait(0.5)
        bus.keep_house()
        assert bus.tail == 2 * SEGMENT
        assert bus.reader().read(0).payload == b"x"


def test_age_spares_what_was_written_after_the_next_segment_was_made_ready():
    with make(None, retention=Retention(age=4)) as bus:
        bus.write(1, 1, bytes(3000))
        bus.keep_house()                            # more than half is full: makes the next one
        assert bus.statistics().segments == 2
        threading.Event().wait(4.1)
        late = bus.write(1, 1, b"late")
        fill(bus, 1)
        bus.keep_house()
        assert bus.tail == 0
        assert bus.read(late).payload == b"late"


def test_age_passes_segments_that_hold_no_message(path):
    with make(path, retention=Retention(age=0.3)) as bus:
        fill(bus, 1)
        with bus.sender(1) as sender, contextlib.suppress(ValueError), sender.claim(Whole) as whole:
            whole.number = 1
            raise ValueError                        # a segment of padding alone
        fill(bus, 2)
        threading.Event().wait(0.5)
        bus.keep_house()
        assert bus.tail == 3 * SEGMENT


def test_age_needs_timestamps(path):
    with pytest.raises(ValueError, match="retention by age needs a journal with timestamps, got Retention"):
        make(path, retention=Retention(age=1), timestamps=False)


def test_last_segment_always_stays(path):
    with make(path, retention=Retention(count=1, size=1, age=timedelta(microseconds=1))) as bus:
        bus.write(1, 1, b"x")
        threading.Event().wait(0.01)
        bus.keep_house()
        assert bus.reader().read(0).payload == b"x"


def test_slow_registered_reader_keeps_its_segments(path):
    with make(path, retention=Retention(count=1)) as bus:
        reader = bus.reader()
        fill(bus, 5)
        bus.keep_house()
        assert bus.tail == 0
        for number in range(4):
            assert reader.read(0).position == number * SEGMENT
            bus.keep_house()
            assert bus.tail == (number + 1) * SEGMENT
        reader.close()


def test_reader_that_lags_more_than_its_limit_is_detached_and_told(path):
    with make(path, retention=Retention(count=1)) as bus:
        reader = bus.reader(lag_limit=2 * SEGMENT)
        fill(bus, 2)
        bus.keep_house()
        assert bus.tail == 0
        fill(bus, 3)
        bus.keep_house()
        assert bus.tail == 4 * SEGMENT
        assert reader.read(0) == Gap(0, 4 * SEGMENT)
        assert reader.read(0).position == 4 * SEGMENT
        statistics = bus.statistics()
        assert statistics.revoked_readers == 1
        assert (statistics.readers[0].gaps, statistics.readers[0].lost_bytes) == (1, 4 * SEGMENT)


def test_reader_that_only_observes_is_told_of_a_gap(path):
    with make(path, retention=Retention(count=2)) as bus:
        observer = bus.reader(gate=False)
        fill(bus, 5)
        assert observer.read(0).position == 0
        bus.keep_house()
        assert observer.read(0) == Gap(SEGMENT, 3 * SEGMENT)
        assert [observer.read(0).position for _ in range(2)] == [3 * SEGMENT, 4 * SEGMENT]


def test_removed_message_reads_as_none_and_is_no_start(path):
    with make(path, retention=Retention(count=1)) as bus:
        fill(bus, 5)
        bus.keep_house()
        assert bus.read(SEGMENT) is None
        with pytest.raises(ValueError, match="retention removed"):
            bus.reader(SEGMENT)


def test_removed_files_are_gone_and_the_journal_opens_again(tmp_path):
    with make(tmp_path / "journal", retention=Retention(count=2)) as bus:
        fill(bus, 6)
        bus.keep_house()
        tail, head = bus.tail, bus.head
    names = sorted(name for name in os.listdir(tmp_path / "journal") if name.endswith(".segment"))
    assert [int(name[:16], 16) for name in names] == [4 * SEGMENT, 5 * SEGMENT]
    with make(tmp_path / "journal") as bus:
        assert (bus.tail, bus.head) == (tail, head)
        assert bus.reader().read(0).position == tail


def test_readers_that_come_while_segments_go_see_whole_runs(path):
    with make(path, retention=Retention(count=2), readers=16) as bus:
        errors = []
        done = threading.Event()

        def trim():
            try:
                while not done.is_set():
                    bus.keep_house()
            except BaseException as error:
                errors.append(error)

        def follow():
            try:
                while not done.is_set():
                    with bus.reader() as reader:
                        before = None
                        for _ in range(20):
                            found = reader.read(0)
                            if found is None:
                                break
                            assert not isinstance(found, Gap), found
                            number = int.from_bytes(found.payload[:8], "little")
                            assert before is None or number == before + 1
                            before = number
            except BaseException as error:
                errors.append(error)

        threads = [threading.Thread(target=work) for work in (trim, trim, follow, follow)]
        for thread in threads:
            thread.start()
        for number in range(3000):
            bus.write(1, 1, number.to_bytes(8, "little") + bytes(number % 700))
        done.set()
        for thread in threads:
            thread.join(60)
        assert not errors, errors[0]
        bus.keep_house()
        assert bus.tail > 0


@pytest.mark.parametrize("options", [
    {"size": 0}, {"count": 0}, {"count": True}, {"size": 1.5}, {"age": 0}, {"age": -1}, {"age": timedelta(0)},
])  # fmt: skip
def test_wrong_rule_is_refused_by_name(options):
    with pytest.raises(ValueError, match=next(iter(options))):
        Retention(**options)
