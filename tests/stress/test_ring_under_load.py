"""Many threads, tiny rings, forced laps, aborts: every message once and in one order, or told as lost."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

from loads import load
from nanobus import CircularBus


def run(native, bus, writers, readers, count, abort_every=0):
    """Let `writers` x `count` numbered messages flow to `readers`; return what each thread says."""
    reading = [bus.reader() for _ in range(readers)]
    writing = [bus.writer() for _ in range(writers)]
    with ThreadPoolExecutor(writers + readers) as pool:
        read = [pool.submit(native.read_numbered, reader, count * writers) for reader in reading]
        written = [
            pool.submit(native.write_numbered, writer, source, count, abort_every)
            for source, writer in enumerate(writing)
        ]
        return [one.result(300) for one in written], [one.result(300) for one in read]


@pytest.mark.parametrize(("wait", "capacity"), [*itertools.product(["block", "yield"], [4096, 16384])])
def test_eight_writers_and_four_readers_on_a_tiny_ring_with_aborts(native, wait, capacity):
    bus = CircularBus(capacity, wait=wait)
    written, read = run(native, bus, 8, 4, 5_000, abort_every=7)
    assert written == [5_000] * 8
    assert len(set(read)) == 1
    seen, lost, _, disorder = read[0]
    assert (seen, lost, disorder) == (40_000, 0, 0)
    assert bus.statistics().aborted > 1_000


def test_eight_writers_lap_four_readers_and_abort_and_nothing_is_torn_or_repeated(native):
    bus = CircularBus(4096, overflow="overwrite")
    written, read = run(native, bus, 8, 4, 10_000, abort_every=7)
    assert written == [10_000] * 8
    assert bus.statistics().aborted > 1_000
    for seen, lost, _, disorder in read:
        assert disorder == 0
        assert seen * 64 + lost <= bus.head
        assert lost


def test_lapped_readers_account_for_every_byte(native):
    bus = CircularBus(4096, overflow="overwrite")
    written, read = run(native, bus, 3, 3, 30_000)
    assert written == [30_000] * 3
    for seen, lost, _, disorder in read:
        assert disorder == 0
        assert seen * 64 + lost == bus.head


def test_ten_million_messages_reach_every_reader_once_in_one_order(native):
    bus = CircularBus(65536)
    count = load(2_500_000)
    written, read = run(native, bus, 4, 3, count)
    assert written == [count] * 4
    assert len(set(read)) == 1                          # the same hash of (source, number) in the order seen
    assert (read[0][0], read[0][1], read[0][3]) == (4 * count, 0, 0)


def test_checksums_hold_under_load(native):
    bus = CircularBus(8192, checksum=True, timestamps=True)
    written, read = run(native, bus, 3, 3, 5_000, abort_every=11)
    assert written == [5_000] * 3
    assert {one[:2] for one in read} == {(15_000, 0)}
