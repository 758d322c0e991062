"""Memory that grows: what it keeps, when it refuses."""

import errno
import mmap
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanobus.errors import BusClosedError, MappingError
from nanobus.memory.growable import GrowableMapping

PAGE = mmap.PAGESIZE


def test_growing_keeps_the_bytes_and_adds_zeros():
    mapping = GrowableMapping(PAGE)
    mapping.write(0, bytes(range(256)) * (PAGE // 256))
    mapping.grow_to(64 * PAGE + 1)
    assert mapping.size == len(mapping) == 65 * PAGE
    assert mapping.read(0, PAGE) == bytes(range(256)) * (PAGE // 256)
    assert mapping.read(PAGE, 64 * PAGE) == bytes(64 * PAGE)
    mapping.write(65 * PAGE - 3, b"end")
    assert mapping.read(65 * PAGE - 3, 3) == b"end"


@settings(deadline=None)
@given(sizes=st.lists(st.integers(1, 40 * PAGE), min_size=1, max_size=12))
def test_however_it_grows_it_is_as_large_as_the_largest_size_asked_for(sizes):
    mapping = GrowableMapping(1)
    expected = bytearray(PAGE)
    for step, size in enumerate(sizes, 1):
        mapping.grow_to(size)
        expected.extend(bytes(max(0, -(-size // PAGE) * PAGE - len(expected))))
        mapping.write(size - 1, bytes([step]))
        expected[size - 1] = step
        assert mapping.read(0, mapping.size) == expected


def test_growing_to_less_changes_nothing_even_while_a_view_is_exported():
    mapping = GrowableMapping(3 * PAGE)
    with memoryview(mapping):
        mapping.grow_to(1)
        mapping.grow_to(3 * PAGE)
    assert mapping.size == 3 * PAGE


def test_growing_is_refused_while_a_view_is_exported_and_harms_nothing():
    mapping = GrowableMapping(PAGE)
    mapping.write(0, b"before")
    with memoryview(mapping) as view:
        with pytest.raises(BufferError, match=rf"cannot grow to {2 * PAGE} bytes while 1 view of it is exported"):
            mapping.grow_to(2 * PAGE)
        assert mapping.size == view.nbytes == PAGE
        view[6] = ord("!")
    assert mapping.read(0, 7) == b"before!"
    mapping.grow_to(2 * PAGE)
    assert mapping.size == 2 * PAGE


@pytest.mark.parametrize("size", [1 << 62, (1 << 63) - 1, 1 << 80])
def test_growing_beyond_what_the_system_has_is_an_error_with_its_number_and_harms_nothing(size):
    mapping = GrowableMapping(PAGE)
    mapping.write(0, b"before")
    with pytest.raises(MappingError, match=f"{size} bytes") as caught:
        mapping.grow_to(size)
    assert caught.value.errno == errno.ENOMEM
    assert (mapping.size, mapping.read(0, 6)) == (PAGE, b"before")
    mapping.grow_to(2 * PAGE)
    assert mapping.read(0, 6) == b"before"


def test_growing_to_no_size_is_refused_by_value():
    mapping = GrowableMapping(PAGE)
    with pytest.raises(ValueError, match="size must be >= 1, got 0"):
        mapping.grow_to(0)
    with pytest.raises(TypeError, match="size must be an int, got None"):
        mapping.grow_to(None)


def test_a_closed_mapping_does_not_grow():
    mapping = GrowableMapping(PAGE)
    mapping.close()
    with pytest.raises(BusClosedError):
        mapping.grow_to(2 * PAGE)


def test_threads_that_read_while_it_moves_see_the_bytes_that_were_there():
    mapping = GrowableMapping(PAGE)
    pattern = bytes(range(256))
    mapping.write(0, pattern)
    barrier, done = threading.Barrier(4), threading.Event()

    def grow():
        barrier.wait(60)
        try:
            size = PAGE
            while size < 512 * PAGE:
                try:
                    mapping.grow_to(size + PAGE)
                    size += PAGE
                except BufferError:
                    continue
        finally:
            done.set()

    def read():
        barrier.wait(60)
        while not done.is_set():
            assert mapping.read(0, 256) == pattern

    def export():
        barrier.wait(60)
        while not done.is_set():
            with memoryview(mapping) as view:
                assert view[:256] == pattern

    with ThreadPoolExecutor(4) as pool:
        for one in [pool.submit(act) for act in (grow, read, read, export)]:
            one.result(120)
    assert (mapping.size, mapping.exports) == (512 * PAGE, 0)
