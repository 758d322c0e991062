"""Many threads, tiny rings, forced laps, aborts: every message once and in one order, or told as lost."""

import itertools
from concurrent.futures import ThreadPoolExecutor

import pytest

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
        return [one.result(120) for one in written], [one.result(120) for one in read]


@pytest.mark.parametrize(("wait", "capacity"), [*itertools.product(["block", "yield"], [4096, 16384])])
def test_eight_writers_and_four_readers_on_a_tiny_ring_with_aborts(native, wait, capacity):
    bus = CircularBus(capacity, wait=wait)
    written, read = run(native, bus, 8, 4, 5_000, abort_every=7)
    assert written == [5_000] * 8
    assert len(set(read)) == 1
    seen, lost, _, disorder = read[0]
    assert (seen, lost, disorder) == (40_000, 0, 0)
    assert bus.statistics().aborted == 8 * -(-5_000 // 7)


def test_lapped_readers_see_no_torn_and_no_repeated_message(native):
    bus = CircularBus(4096, overflow="overwrite")
    written, read = run(native, bus, 3, 3, 30_000)
    assert written == [30_000] * 3
    for seen, lost, _, disorder in read:
        assert disorder == 0
        assert seen * 64 + lost == bus.head


def test_checksums_hold_under_load(native):
    bus = CircularBus(8192, checksum=True, timestamps=True)
    written, read = run(native, bus, 3, 3, 5_000, abort_every=11)
    assert written == [5_000] * 3
    assert {one[:2] for one in read} == {(15_000, 0)}
