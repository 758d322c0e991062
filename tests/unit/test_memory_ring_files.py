"""Rings with a path: published whole or not at all, attached to by others, refused where they cannot be trusted."""

import contextlib
import errno
import gc
import mmap
import os
import socket
import stat
import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from nanobus.errors import BusClosedError, BusFormatError, MappingError
from nanobus.memory.ring import RingMapping

pytestmark = pytest.mark.thread_unsafe(reason="all threads would get one path")

PAGE = mmap.PAGESIZE
CAPACITY = max(4096, PAGE)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "ring"


@pytest.fixture
def published(path):
    ring = RingMapping(CAPACITY, PAGE, path)
    assert ring.publish()
    return ring


def run_child(program, *arguments):
    return subprocess.run(
        [sys.executable, "-c", program, *map(str, arguments)], capture_output=True, text=True, timeout=60, check=True
    ).stdout


def open_descriptors():
    gc.collect()  # rings that the tracebacks of other tests still hold
    return set(os.listdir("/dev/fd"))


def test_a_ring_has_no_name_before_it_is_published(path):
    ring = RingMapping(CAPACITY, PAGE, path)
    assert (ring.created, ring.path, path.exists()) == (True, str(path), False)
    ring.write(0, b"control block")
    assert ring.publish() is True
    assert path.read_bytes() == b"control block".ljust(PAGE + CAPACITY, b"\0")
    assert os.listdir(path.parent) == ["ring"]


def test_a_published_file_is_its_owners_alone(published, path):
    status = path.stat()
    assert stat.S_IMODE(status.st_mode) == 0o600
    assert status.st_nlink == 1
    assert published.size == status.st_size


def test_publishing_again_changes_nothing(published, path):
    assert published.publish() is True
    assert os.listdir(path.parent) == ["ring"]


def test_a_ring_that_is_never_published_leaves_nothing_behind(path):
    RingMapping(CAPACITY, PAGE, path).close()
    ring = RingMapping(CAPACITY, PAGE, path)
    del ring
    with contextlib.suppress(ZeroDivisionError), RingMapping(CAPACITY, PAGE, path):
        raise ZeroDivisionError
    assert os.listdir(path.parent) == []


def test_who_attaches_sees_the_same_bytes_both_ways(published, path):
    attached = RingMapping(CAPACITY, PAGE, str(path))
    assert not attached.created
    published.write(PAGE + CAPACITY - 2, b"ping")
    assert attached.read(PAGE, 2) == b"ng"
    attached.write(PAGE + CAPACITY, b"pong")
    assert published.read(PAGE, 4) == b"pong"


def test_who_attaches_without_a_capacity_finds_it_in_the_size_of_the_file(path):
    RingMapping(8 * CAPACITY, 2 * PAGE, path).publish()
    attached = RingMapping(None, 2 * PAGE, path)
    assert (attached.capacity, attached.control_size, attached.created) == (8 * CAPACITY, 2 * PAGE, False)


def test_another_process_sees_the_same_bytes(published, path):
    published.write(PAGE, b"from the parent")
    program = (
        "import sys\n"
        "from nanobus.memory.ring import RingMapping\n"
        f"ring = RingMapping(None, {PAGE}, sys.argv[1])\n"
        f"print(ring.read({PAGE}, 15).decode(), ring.created)\n"
        f"ring.write({PAGE + CAPACITY - 4}, b'from the child')\n"
    )
    assert run_child(program, path) == "from the parent False\n"
    assert published.read(PAGE + CAPACITY - 4, 14) == b"from the child"


def test_the_bytes_outlive_every_process(path):
    program = (
        "import sys\n"
        "from nanobus.memory.ring import RingMapping\n"
        f"ring = RingMapping({CAPACITY}, {PAGE}, sys.argv[1])\n"
        "ring.write(5, b'kept')\n"
        "assert ring.publish()\n"
    )
    run_child(program, path)
    assert RingMapping(None, PAGE, path).read(5, 4) == b"kept"


def test_the_second_of_two_that_publish_is_told_and_attaches(path):
    first, second = RingMapping(CAPACITY, PAGE, path), RingMapping(CAPACITY, PAGE, path)
    first.write(0, b"first")
    second.write(0, b"second")
    assert first.publish() is True
    assert second.publish() is False
    assert second.publish() is False
    second.close()
    assert os.listdir(path.parent) == ["ring"]
    assert RingMapping(CAPACITY, PAGE, path).read(0, 6) == b"first\0"


def test_of_many_threads_that_publish_one_wins_and_all_see_its_bytes(path):
    threads, barrier = 8, threading.Barrier(8)

    def join(index):
        barrier.wait(60)
        ring = RingMapping(CAPACITY, PAGE, path)
        if ring.created:
            ring.write(0, bytes([index + 1]) * PAGE)
            if ring.publish():
                return True, ring.read(0, PAGE)
            ring.close()
            ring = RingMapping(CAPACITY, PAGE, path)
        return False, ring.read(0, PAGE)

    with ThreadPoolExecutor(threads) as pool:
        results = [one.result(60) for one in [pool.submit(join, index) for index in range(threads)]]
    assert sum(won for won, _ in results) == 1
    assert {seen for _, seen in results} == {seen for won, seen in results if won}
    assert os.listdir(path.parent) == ["ring"]


def test_a_forked_child_that_drops_an_unpublished_ring_takes_nothing_away(path):
    program = (
        "import os, sys\n"
        "from nanobus.memory.ring import RingMapping\n"
        f"ring = RingMapping({CAPACITY}, {PAGE}, sys.argv[1])\n"
        "child = os.fork()\n"
        "if child == 0:\n"
        "    ring.close()\n"
        "    os._exit(0)\n"
        "os.waitpid(child, 0)\n"
        "print(ring.publish())\n"
    )
    assert run_child(program, path) == "True\n"
    assert os.listdir(path.parent) == ["ring"]


def test_a_relative_path_stays_where_it_was_when_the_working_directory_changes(tmp_path, monkeypatch):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(tmp_path)
    ring = RingMapping(CAPACITY, PAGE, "ring")
    assert ring.path == str(tmp_path / "ring")
    monkeypatch.chdir(elsewhere)
    assert ring.publish()
    assert (tmp_path / "ring").exists()


def test_a_path_may_be_bytes_and_hold_any_byte_a_file_name_can(tmp_path):
    name = os.fsencode(tmp_path) + b"/\xff ring"
    ring = RingMapping(CAPACITY, PAGE, name)
    assert ring.publish()
    assert os.fsencode(ring.path) == name
    assert not RingMapping(CAPACITY, PAGE, name).created


def test_an_attached_or_closed_ring_is_not_published(published, path):
    attached = RingMapping(CAPACITY, PAGE, path)
    with pytest.raises(ValueError, match="only new bytes with a path can be published"):
        attached.publish()
    published.close()
    with pytest.raises(BusClosedError):
        published.publish()


def test_no_file_and_no_capacity_is_no_such_file(path):
    with pytest.raises(MappingError, match="no capacity to make one") as caught:
        RingMapping(None, PAGE, path)
    assert (caught.value.errno, caught.value.filename) == (errno.ENOENT, str(path))


def test_a_directory_that_is_not_there_is_no_such_file(tmp_path):
    with pytest.raises(MappingError) as caught:
        RingMapping(CAPACITY, PAGE, tmp_path / "missing" / "ring")
    assert caught.value.errno == errno.ENOENT


@pytest.mark.usefixtures("published")
def test_a_file_in_the_place_of_a_directory_is_named(path):
    with pytest.raises(MappingError) as caught:
        RingMapping(CAPACITY, PAGE, path / "ring")
    assert (caught.value.errno, caught.value.filename) == (errno.ENOTDIR, str(path / "ring"))


def test_a_directory_removed_before_the_publication_is_an_error(tmp_path):
    folder = tmp_path / "folder"
    folder.mkdir()
    ring = RingMapping(CAPACITY, PAGE, folder / "ring")
    for left in folder.iterdir():
        left.unlink()
    folder.rmdir()
    with pytest.raises(MappingError, match="cannot publish the ring") as caught:
        ring.publish()
    assert caught.value.errno == errno.ENOENT
    assert ring.read(0, 1) == b"\0"


def test_an_empty_path_or_one_with_a_null_character_is_refused():
    with pytest.raises(ValueError, match="path must not be empty"):
        RingMapping(CAPACITY, PAGE, "")
    with pytest.raises(ValueError, match="path must not contain a null character"):
        RingMapping(CAPACITY, PAGE, "a\0b")


@pytest.mark.parametrize(
    ("kind", "make"),
    [
        ("directory", Path.mkdir),
        ("FIFO", os.mkfifo),
        ("symbolic link", lambda path: path.symlink_to("missing")),
        ("symbolic link", lambda path: path.symlink_to(os.devnull)),
        ("device", None),
    ],
)
def test_what_is_no_regular_file_is_refused_by_its_kind(path, kind, make):
    if make is None:
        path = Path(os.devnull)
    else:
        make(path)
    for capacity in (CAPACITY, None):
        with pytest.raises(BusFormatError, match=f"{path}' must be a regular file, it is a {kind}"):
            RingMapping(capacity, PAGE, path)


@pytest.mark.usefixtures("published")
def test_a_symbolic_link_to_a_good_ring_is_refused(path):
    link = path.with_name("link")
    link.symlink_to(path)
    with pytest.raises(BusFormatError, match="symbolic link"):
        RingMapping(CAPACITY, PAGE, link)


def test_a_socket_is_refused(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind("ring")
        with pytest.raises(BusFormatError, match="a socket"):
            RingMapping(CAPACITY, PAGE, "ring")


def test_a_publication_over_a_dangling_link_does_not_follow_it(path):
    ring = RingMapping(CAPACITY, PAGE, path)
    path.symlink_to("elsewhere")
    assert ring.publish() is False
    assert not path.with_name("elsewhere").exists()


@pytest.mark.parametrize("size", [0, 1, PAGE, PAGE + CAPACITY - 1, PAGE + CAPACITY + 1, PAGE + 3 * CAPACITY])
def test_a_file_of_another_size_is_refused_by_path_and_size(path, size):
    path.touch(0o600)
    os.truncate(path, size)
    for capacity in (CAPACITY, None):
        with pytest.raises(BusFormatError, match=rf"{path}' must have .* got {size}\b"):
            RingMapping(capacity, PAGE, path)
    assert path.stat().st_size == size


@pytest.mark.usefixtures("published")
def test_a_ring_of_another_capacity_is_refused_by_both_sizes(path):
    with pytest.raises(BusFormatError, match=rf"must have {PAGE + 2 * CAPACITY} bytes.* got {PAGE + CAPACITY}\b"):
        RingMapping(2 * CAPACITY, PAGE, path)


@pytest.mark.usefixtures("published")
@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_a_file_that_other_users_may_write_is_refused_by_its_mode(path, mode):
    path.chmod(mode)
    with pytest.raises(MappingError, match=stat.filemode(stat.S_IFREG | mode)) as caught:
        RingMapping(CAPACITY, PAGE, path)
    assert (caught.value.errno, caught.value.filename) == (errno.EPERM, str(path))


@pytest.mark.usefixtures("published")
def test_a_file_of_another_user_is_refused(path, monkeypatch):
    monkeypatch.setattr(os, "geteuid", lambda: path.stat().st_uid + 1)
    with pytest.raises(MappingError, match=f"got {path.stat().st_uid}") as caught:
        RingMapping(CAPACITY, PAGE, path)
    assert caught.value.errno == errno.EPERM


def test_attaching_fills_the_holes_of_a_copied_file_and_keeps_its_bytes(path):
    path.touch(0o600)
    with path.open("r+b") as file:
        file.truncate(PAGE + 16 * CAPACITY)
        file.seek(PAGE + 5)
        file.write(b"kept")
    ring = RingMapping(None, PAGE, path)
    assert ring.read(PAGE + 5, 4) == b"kept"
    ring.write(PAGE, bytes(16 * CAPACITY))


def test_a_ring_larger_than_the_disk_is_an_error_and_leaves_nothing(path):
    with pytest.raises(MappingError, match="cannot allocate") as caught:
        RingMapping(1 << 60, PAGE, path)
    assert caught.value.errno in (errno.ENOSPC, errno.EFBIG)
    assert os.listdir(path.parent) == []


@pytest.mark.usefixtures("published")
def test_refused_files_leave_no_descriptor_open(tmp_path, path):
    wrong, fifo, link = tmp_path / "wrong", tmp_path / "fifo", tmp_path / "link"
    wrong.write_bytes(b"x")
    os.mkfifo(fifo)
    link.symlink_to(path)
    names, descriptors = set(os.listdir(tmp_path)), open_descriptors()
    for _ in range(50):
        for refused in (tmp_path, wrong, fifo, link, tmp_path / "missing" / "ring"):
            with pytest.raises((MappingError, BusFormatError)):
                RingMapping(CAPACITY, PAGE, refused)
        RingMapping(CAPACITY, PAGE, path).close()
        RingMapping(CAPACITY, PAGE, tmp_path / "unpublished").close()
    assert open_descriptors() == descriptors
    assert set(os.listdir(tmp_path)) == names
