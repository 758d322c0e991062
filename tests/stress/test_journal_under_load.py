"""Many threads and tiny segments: every message of a journal once and in one order, whatever goes on beside them."""

import threading
from concurrent.futures import ThreadPoolExecutor

import pytest

from loads import flow, load
from nanobus import JournalBus, Retention

PLACES = ["file", "memory"]


@pytest.fixture
def path(request, tmp_path):
    return tmp_path / "journal" if request.param == "file" else None


@pytest.mark.parametrize("path", PLACES, indirect=True)
def test_four_writers_and_three_readers_roll_through_hundreds_of_segments(native, path):
    count = load(5_000)
    with JournalBus(path, segment_size=4096) as bus:
        read = flow(native, bus, 4, 3, count, abort_every=7, batches=(5,))
        assert bus.statistics().segments > count // 50
    assert len(set(read)) == 1
    assert (read[0][0], read[0][1], read[0][3]) == (4 * count, 0, 0)


@pytest.mark.parametrize("path", PLACES, indirect=True)
def test_segments_go_behind_readers_and_never_under_them(native, path):
    count = load(5_000)
    ended = threading.Event()
    with JournalBus(path, segment_size=4096, retention=Retention(count=2)) as bus, ThreadPoolExecutor(1) as pool:

        def keep_house():
            while not ended.wait(0.001):
                bus.keep_house()

        house = pool.submit(keep_house)
        try:
            read = flow(native, bus, 3, 2, count)
        finally:
            ended.set()
        house.result(60)
        bus.keep_house()
        assert bus.tail > 0
    assert len(set(read)) == 1
    assert (read[0][0], read[0][1], read[0][3]) == (3 * count, 0, 0)


def test_threads_that_commit_together_each_find_what_they_wrote(tmp_path):
    count = load(100)
    with JournalBus(tmp_path / "journal", segment_size=4096, sync="commit") as bus:

        def write(source):
            for number in range(count):
                position = bus.write(source, 1, number.to_bytes(8, "little"))
                assert bus.durable > position

        with ThreadPoolExecutor(4) as pool:
            for one in [pool.submit(write, source) for source in range(4)]:
                one.result(120)
        found = [(message.source, int.from_bytes(message.payload, "little")) for message in read_all(bus)]
    for source in range(4):
        assert [number for written_by, number in found if written_by == source] == list(range(count))


def read_all(bus):
    with bus.reader(gate=False) as reader:
        while (found := reader.read(0)) is not None:
            yield found
