"""What every mapping does: copy in and out, export buffers, close."""

import contextlib
import copy
import ctypes
import errno
import gc
import mmap
import pickle
import threading
import weakref
from concurrent.futures import ThreadPoolExecutor

import numpy
import pytest

from nanobus.errors import BusClosedError, MappingError
from nanobus.memory.growable import GrowableMapping
from nanobus.memory.mapping import AnonymousMapping, Mapping, round_to_pages
from nanobus.memory.ring import RingMapping

pytestmark = pytest.mark.thread_unsafe(reason="all threads would get one mapping")

PAGE = mmap.PAGESIZE
MAKERS = {
    "anonymous": lambda: AnonymousMapping(2 * PAGE),
    "growable": lambda: GrowableMapping(2 * PAGE),
    "ring": lambda: RingMapping(PAGE, PAGE),
}


@pytest.fixture(params=MAKERS)
def mapping(request):
    return MAKERS[request.param]()


def end_of(mapping):
    return mapping.size + getattr(mapping, "capacity", 0)


def test_new_bytes_are_zero(mapping):
    assert mapping.read(0, end_of(mapping)) == bytes(end_of(mapping))


def test_what_was_written_is_read(mapping):
    mapping.write(7, b"nanobus")
    assert mapping.read(6, 9) == b"\0nanobus\0"


def test_a_copy_long_enough_to_release_the_gil_is_the_same_copy():
    mapping = AnonymousMapping(1 << 20)
    noise = numpy.random.default_rng(1).bytes(1 << 19)
    mapping.write(13, noise)
    assert mapping.read(13, 1 << 19) == noise


def test_a_write_takes_any_contiguous_buffer(mapping):
    mapping.write(0, numpy.array([1, 2], "<u2"))
    mapping.write(4, bytearray(b"\3"))
    mapping.write(5, (ctypes.c_uint8 * 2)(4, 5))
    assert mapping.read(0, 8) == bytes([1, 0, 2, 0, 3, 4, 5, 0])


def test_a_write_refuses_what_is_no_contiguous_buffer(mapping):
    with pytest.raises(TypeError):
        mapping.write(0, "text")
    with pytest.raises((BufferError, ValueError)):
        mapping.write(0, memoryview(b"abcdef")[::2])
    assert mapping.read(0, 6) == bytes(6)


def test_a_write_of_a_view_of_the_same_mapping_moves_the_bytes(mapping):
    mapping.write(0, b"abcdef")
    with memoryview(mapping) as view, view[:6] as overlapping:
        mapping.write(2, overlapping)
    assert mapping.read(0, 8) == b"ababcdef"


def test_reading_and_writing_nothing_is_allowed_everywhere_up_to_the_end(mapping):
    mapping.write(end_of(mapping), b"")
    assert mapping.read(end_of(mapping), 0) == b""


@pytest.mark.parametrize("offset", [-1, -(1 << 63), -(1 << 80), 1 << 62, (1 << 63) - 1, 1 << 80])
def test_an_offset_outside_is_refused_by_value(mapping, offset):
    with pytest.raises(ValueError, match=rf"must be in 0\.\.{end_of(mapping)}, got offset {offset}, size 1$"):
        mapping.read(offset, 1)
    with pytest.raises(ValueError, match=rf"must be in 0\.\.{end_of(mapping)}, got offset {offset}, size 1$"):
        mapping.write(offset, b"x")


@pytest.mark.parametrize("size", [-1, -(1 << 80), (1 << 63) - 1, 1 << 80])
def test_a_size_outside_is_refused_by_value(mapping, size):
    with pytest.raises(ValueError, match=f"got offset 8, size {size}$"):
        mapping.read(8, size)


def test_a_range_that_ends_one_byte_too_late_is_refused_and_nothing_written(mapping):
    end = end_of(mapping)
    with pytest.raises(ValueError, match=f"got offset {end - 3}, size 4"):
        mapping.write(end - 3, b"full")
    with pytest.raises(ValueError, match=f"got offset {end - 3}, size 4"):
        mapping.read(end - 3, 4)
    assert mapping.read(end - 3, 3) == bytes(3)


def test_an_offset_that_is_no_integer_is_a_type_error(mapping):
    with pytest.raises(TypeError):
        mapping.read(1.5, 1)
    with pytest.raises(TypeError):
        mapping.write("0", b"x")


def test_an_integer_that_lies_about_its_order_does_not_get_past_the_bounds(mapping):
    class Liar(int):
        def __le__(self, other):
            return True

        __lt__ = __ge__ = __gt__ = __le__

    with pytest.raises(ValueError, match="must be in"):
        mapping.read(Liar(1 << 40), Liar(1))


def test_the_buffer_is_writable_flat_and_made_of_unsigned_bytes(mapping):
    with memoryview(mapping) as view:
        assert (view.readonly, view.format, view.itemsize, view.ndim) == (False, "B", 1, 1)
        assert (view.shape, view.strides, view.nbytes, view.contiguous) == ((mapping.size,), (1,), len(mapping), True)
        view[3] = 200
    assert mapping.read(3, 1) == b"\xc8"


def test_a_numpy_array_shares_the_bytes(mapping):
    array = numpy.frombuffer(mapping, dtype="<u8")
    array[1] = 0x0102030405060708
    assert mapping.read(8, 8) == bytes([8, 7, 6, 5, 4, 3, 2, 1])
    mapping.write(0, b"\xff")
    assert array[0] == 255


def test_a_ctypes_object_shares_the_bytes(mapping):
    number = ctypes.c_uint32.from_buffer(mapping, 4)
    number.value = 0x01020304
    assert sum(mapping.read(4, 4)) == 10


def test_exports_counts_the_views_that_are_not_released(mapping):
    assert mapping.exports == 0
    first, second = memoryview(mapping), numpy.frombuffer(mapping, dtype=numpy.uint8)
    assert mapping.exports == 2
    first.release()
    assert mapping.exports == 1
    del second
    assert mapping.exports == 0


def test_closing_is_refused_while_views_are_exported_and_harms_nothing(mapping):
    first, second = memoryview(mapping), memoryview(mapping)
    with pytest.raises(BufferError, match=r"^cannot close while 2 views of it are exported$"):
        mapping.close()
    second.release()
    with pytest.raises(BufferError, match=r"^cannot close while 1 view of it is exported$"):
        mapping.close()
    first[0] = 1
    assert mapping.read(0, 1) == b"\1"
    assert not mapping.closed
    first.release()
    mapping.close()
    assert mapping.closed


def test_closing_twice_is_closing_once(mapping):
    mapping.close()
    mapping.close()
    assert mapping.closed


def test_a_closed_mapping_says_so_whatever_is_asked_of_it(mapping):
    mapping.close()
    for use in (
        lambda: mapping.read(0, 1),
        lambda: mapping.read(0, 1 << 40),
        lambda: mapping.write(0, b"x"),
        lambda: memoryview(mapping),
        lambda: len(mapping),
        lambda: mapping.__enter__(),
    ):
        with pytest.raises(BusClosedError, match=f"this {type(mapping).__name__} is closed"):
            use()
    assert mapping.exports == 0
    assert repr(mapping).endswith("closed>")


def test_a_with_block_closes(mapping):
    with mapping as entered:
        assert entered is mapping
    assert mapping.closed


def test_a_view_keeps_the_bytes_after_the_last_name_of_the_mapping_is_gone(mapping):
    mapping.write(0, b"kept")
    view, gone = memoryview(mapping), weakref.ref(mapping)
    name = view.obj
    assert name is mapping
    del mapping, name
    gc.collect()
    assert bytes(view[:4]) == b"kept"
    assert gone() is not None


def test_a_mapping_goes_away_with_its_last_reference():
    mapping = AnonymousMapping(1)
    gone = weakref.ref(mapping)
    del mapping
    gc.collect()
    assert gone() is None


def test_the_base_class_is_not_made_directly():
    with pytest.raises(TypeError, match="Mapping is abstract"):
        Mapping()


def test_a_python_subclass_that_maps_nothing_is_closed_from_the_start():
    class Nothing(Mapping):
        pass

    nothing = Nothing()
    assert nothing.closed
    with pytest.raises(BusClosedError):
        nothing.read(0, 0)


def test_a_mapping_is_neither_copied_nor_pickled(mapping):
    with pytest.raises(TypeError):
        copy.copy(mapping)
    with pytest.raises(TypeError):
        pickle.dumps(mapping)


@pytest.mark.parametrize("maker", [AnonymousMapping, GrowableMapping])
def test_the_size_is_the_next_multiple_of_the_page_size(maker):
    assert maker(1).size == PAGE
    assert maker(PAGE).size == PAGE
    assert maker(PAGE + 1).size == len(maker(2 * PAGE)) == 2 * PAGE
    assert maker(numpy.int64(5)).size == PAGE


@pytest.mark.parametrize("maker", [AnonymousMapping, GrowableMapping, round_to_pages])
def test_a_size_below_one_is_refused_by_value(maker):
    with pytest.raises(ValueError, match="size must be >= 1, got 0"):
        maker(0)
    with pytest.raises(ValueError, match="size must be >= 1, got -4096"):
        maker(-4096)
    with pytest.raises(TypeError, match=r"size must be an int, got 1\.0"):
        maker(1.0)


@pytest.mark.parametrize("size", [1 << 62, (1 << 63) - 1, 1 << 64, 1 << 100])
@pytest.mark.parametrize("maker", [AnonymousMapping, GrowableMapping])
def test_an_absurd_size_is_an_error_of_the_system_with_its_number(maker, size):
    with pytest.raises(MappingError, match=r"cannot map \d+ bytes") as caught:
        maker(size)
    assert caught.value.errno == errno.ENOMEM
    assert isinstance(caught.value, OSError)


def test_round_to_pages_rounds_up():
    assert [round_to_pages(size) for size in (1, PAGE - 1, PAGE, PAGE + 1)] == [PAGE, PAGE, PAGE, 2 * PAGE]


@pytest.mark.parametrize("make", MAKERS.values(), ids=MAKERS)
def test_threads_that_export_read_and_close_at_once_see_whole_bytes_or_a_closed_mapping(make):
    threads = 4

    def use(mapping, barrier, index):
        pattern = bytes([index + 1]) * 64
        barrier.wait(60)
        with contextlib.suppress(BusClosedError):
            while True:
                with memoryview(mapping) as view:
                    view[64 * index : 64 * index + 64] = pattern
                assert mapping.read(64 * index, 64) == pattern

    def close(mapping, barrier):
        barrier.wait(60)
        while not mapping.closed:
            with contextlib.suppress(BufferError):
                mapping.close()

    with ThreadPoolExecutor(threads + 1) as pool:
        for _ in range(20):
            mapping, barrier = make(), threading.Barrier(threads + 1)
            running = [pool.submit(use, mapping, barrier, index) for index in range(threads)]
            running.append(pool.submit(close, mapping, barrier))
            for one in running:
                one.result(60)
            assert mapping.exports == 0
            assert mapping.closed
