"""Many threads, tiny rings, forced laps, aborts: every message once and in one order, or told as lost."""

import itertools

import pytest

from loads import flow, load
from nanobus import CircularBus


@pytest.mark.parametrize(("wait", "capacity"), [*itertools.product(["block", "yield"], [4096, 16384])])
def test_eight_writers_and_four_readers_on_a_tiny_ring_with_aborts(native, wait, capacity):
    bus = CircularBus(capacity, wait=wait)
    read = flow(native, bus, 8, 4, 5_000, abort_every=7)
    assert len(set(read)) == 1
    seen, lost, _, disorder = read[0]
    assert (seen, lost, disorder) == (40_000, 0, 0)
    assert bus.statistics().aborted > 1_000


def test_eight_writers_lap_four_readers_and_abort_and_nothing_is_torn_or_repeated(native):
    bus = CircularBus(4096, overflow="overwrite")
    read = flow(native, bus, 8, 4, 10_000, abort_every=7)
    assert bus.statistics().aborted > 1_000
    for seen, lost, _, disorder in read:
        assert disorder == 0
        assert seen * 64 + lost <= bus.head
        assert lost


def test_lapped_readers_account_for_every_byte(native):
    bus = CircularBus(4096, overflow="overwrite")
    read = flow(native, bus, 3, 3, 30_000)
    for seen, lost, _, disorder in read:
        assert disorder == 0
        assert seen * 64 + lost == bus.head


def test_ten_million_messages_reach_every_reader_once_in_one_order(native):
    bus = CircularBus(65536)
    count = load(2_500_000)
    read = flow(native, bus, 4, 3, count)
    assert len(set(read)) == 1                          # the same hash of (source, number) in the order seen
    assert (read[0][0], read[0][1], read[0][3]) == (4 * count, 0, 0)


def test_batches_and_single_messages_reach_every_reader_once_in_one_order(native):
    count = load(500_000)
    read = flow(native, CircularBus(16384), 4, 3, count, abort_every=7, batches=(2, 33))
    assert len(set(read)) == 1
    assert (read[0][0], read[0][1], read[0][3]) == (4 * count, 0, 0)


def test_checksums_hold_under_load(native):
    bus = CircularBus(8192, checksum=True, timestamps=True)
    read = flow(native, bus, 3, 3, 5_000, abort_every=11)
    assert {one[:2] for one in read} == {(15_000, 0)}
