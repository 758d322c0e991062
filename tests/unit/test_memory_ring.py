"""The ring mapped twice: no byte run is split, sizes are checked, nothing leaks."""

import errno
import gc
import mmap
import os
import subprocess
import sys
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from nanobus.errors import MappingError
from nanobus.memory.ring import RingMapping

PAGE = mmap.PAGESIZE
CAPACITY = max(4096, PAGE)


def open_descriptors():
    gc.collect()  # rings that the tracebacks of other tests still hold
    return {int(name) for name in os.listdir("/dev/fd")}


def mapped_ranges():
    maps = Path("/proc/self/maps")
    return len(maps.read_text().splitlines()) if maps.exists() else 0


def test_the_sizes_are_the_bytes_that_exist():
    ring = RingMapping(4 * CAPACITY, 2 * PAGE)
    assert (ring.control_size, ring.capacity, ring.size) == (2 * PAGE, 4 * CAPACITY, 2 * PAGE + 4 * CAPACITY)
    assert len(ring) == memoryview(ring).nbytes == ring.size
    assert (ring.created, ring.path) == (True, None)


def test_a_byte_of_the_ring_is_seen_one_capacity_later_and_the_other_way_round():
    ring = RingMapping(CAPACITY, PAGE)
    for index in (0, 1, CAPACITY // 2, CAPACITY - 1):
        ring.write(PAGE + index, b"\1")
        assert ring.read(PAGE + CAPACITY + index, 1) == b"\1"
        ring.write(PAGE + CAPACITY + index, b"\2")
        assert ring.read(PAGE + index, 1) == b"\2"


def test_a_write_across_the_end_of_the_ring_continues_at_its_start():
    ring = RingMapping(CAPACITY, PAGE)
    ring.write(PAGE + CAPACITY - 4, b"end.start")
    assert ring.read(PAGE + CAPACITY - 4, 9) == b"end.start"
    assert ring.read(PAGE, 5) == b"start"
    assert ring.read(0, PAGE) == bytes(PAGE)


def test_the_exported_view_is_the_control_block_and_the_ring_once():
    ring = RingMapping(CAPACITY, PAGE)
    ring.write(PAGE + CAPACITY, b"seen")
    with memoryview(ring) as view:
        assert bytes(view[PAGE : PAGE + 4]) == b"seen"
        view[0] = 9
    assert ring.read(0, 1) == b"\x09"


@settings(deadline=None)
@given(
    st.lists(st.tuples(st.integers(0, PAGE + 2 * CAPACITY), st.binary(max_size=300)), max_size=20),
    st.integers(0, PAGE + 2 * CAPACITY),
)
def test_any_writes_leave_what_a_ring_in_a_list_would_hold(writes, start):
    ring = RingMapping(CAPACITY, PAGE)
    control, model = bytearray(PAGE), bytearray(CAPACITY)
    for offset, text in writes:
        if offset + len(text) > PAGE + 2 * CAPACITY:
            with pytest.raises(ValueError, match="must be in"):
                ring.write(offset, text)
            continue
        ring.write(offset, text)
        for position, byte in enumerate(text, offset):
            if position < PAGE:
                control[position] = byte
            else:
                model[(position - PAGE) % CAPACITY] = byte
    everything = control + model + model
    assert ring.read(start, len(everything) - start) == everything[start:]


@pytest.mark.parametrize("capacity", [1, 5000, CAPACITY // 2, CAPACITY + 1, 3 * CAPACITY, (1 << 62) - 1])
def test_a_capacity_that_is_no_power_of_two_or_too_small_is_refused_by_value(capacity):
    with pytest.raises(ValueError, match=f"capacity must be a power of two >= {CAPACITY}, got {capacity}"):
        RingMapping(capacity, PAGE)


@pytest.mark.parametrize("control_size", [1, PAGE - 1, PAGE + 1])
def test_a_control_block_of_part_of_a_page_is_refused_by_value(control_size):
    with pytest.raises(ValueError, match=f"control_size must be a multiple of .* {PAGE}, got {control_size}"):
        RingMapping(CAPACITY, control_size)


def test_an_argument_of_another_kind_is_refused_by_value():
    with pytest.raises(ValueError, match="capacity must be >= 1, got 0"):
        RingMapping(0, PAGE)
    with pytest.raises(ValueError, match="control_size must be >= 1, got -1"):
        RingMapping(CAPACITY, -1)
    with pytest.raises(TypeError, match="capacity must be an int, got '4096'"):
        RingMapping("4096", PAGE)
    with pytest.raises(ValueError, match=r"capacity must be given .* got None"):
        RingMapping(None, PAGE)
    with pytest.raises(TypeError):
        RingMapping(CAPACITY, PAGE, 5.0)


@pytest.mark.parametrize("capacity", [1 << 40, 1 << 61, 1 << 62, 1 << 63, 1 << 64, 1 << 90])
def test_a_ring_larger_than_memory_is_an_error_of_the_system_with_its_number(capacity):
    with pytest.raises(MappingError, match="bytes") as caught:
        RingMapping(capacity, PAGE)
    assert caught.value.errno == errno.ENOMEM


def test_nobody_can_resize_the_anonymous_memory_of_a_linux_ring():
    before = open_descriptors()
    ring = RingMapping(CAPACITY, PAGE)
    for descriptor in open_descriptors() - before:
        if "memfd:" in os.path.realpath(f"/dev/fd/{descriptor}"):
            with pytest.raises(PermissionError):
                os.ftruncate(descriptor, 0)
            with pytest.raises(PermissionError):
                os.ftruncate(descriptor, 2 * ring.size)
    assert ring.read(0, 1) == b"\0"


def test_a_publication_needs_a_path():
    with pytest.raises(ValueError, match="only new bytes with a path can be published"):
        RingMapping(CAPACITY, PAGE).publish()


def test_descriptors_and_mappings_end_with_their_ring():
    descriptors, ranges = open_descriptors(), mapped_ranges()
    for turn in range(200):
        ring = RingMapping(CAPACITY, PAGE)
        if turn % 2:
            ring.close()
            assert open_descriptors() == descriptors
        del ring
    assert open_descriptors() == descriptors
    assert mapped_ranges() < ranges + 20


def test_refused_arguments_close_no_descriptor_and_leave_none():
    descriptors, ranges = open_descriptors(), mapped_ranges()
    for _ in range(100):
        for arguments in ((), (CAPACITY,), (5000, PAGE), (CAPACITY, 1), (1 << 40, PAGE), (None, PAGE)):
            with pytest.raises((TypeError, ValueError, MappingError)):
                RingMapping(*arguments)
    assert open_descriptors() == descriptors
    assert mapped_ranges() < ranges + 20


def test_a_ring_never_takes_the_place_of_a_standard_stream():
    program = (
        "import os\n"
        "from nanobus.memory.ring import RingMapping\n"
        "os.close(0)\n"
        f"ring = RingMapping({CAPACITY}, {PAGE})\n"
        "try:\n"
        "    os.fstat(0)\n"
        "except OSError:\n"
        "    print('free')\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=True)
    assert ran.stdout == "free\n"


@pytest.mark.parametrize(
    ("limit", "amount", "expected"),
    [("RLIMIT_AS", "used + (16 << 20)", "ENOMEM"), ("RLIMIT_NOFILE", "3", "EMFILE"), ("RLIMIT_FSIZE", "4096", "EFBIG")],
)
@pytest.mark.parametrize("named", [False, True])
def test_a_step_that_fails_undoes_the_steps_before_it(tmp_path, limit, amount, expected, named):
    path = str(tmp_path / "ring") if named else None
    program = (
        "import errno, os, resource\n"
        "from nanobus.errors import MappingError\n"
        "from nanobus.memory.ring import RingMapping\n"
        "used = int(open('/proc/self/statm').read().split()[0]) * resource.getpagesize()\n"
        "before = os.listdir('/dev/fd')\n"
        f"usual = resource.getrlimit(resource.{limit})\n"
        f"resource.setrlimit(resource.{limit}, ({amount}, usual[1]))\n"
        "for _ in range(3):\n"
        "    try:\n"
        f"        RingMapping(1 << 24, {PAGE}, {path!r})\n"
        "    except MappingError as error:\n"
        f"        assert error.errno == errno.{expected}, error\n"
        "    else:\n"
        "        raise AssertionError('no error')\n"
        f"resource.setrlimit(resource.{limit}, usual)\n"
        "assert os.listdir('/dev/fd') == before\n"
    )
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=60)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert list(tmp_path.iterdir()) == []
