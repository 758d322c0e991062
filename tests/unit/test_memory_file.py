"""FileMapping: a file that is mapped, shared and grows, and errors where it cannot."""

import os
import stat
import subprocess
import sys
import textwrap

import pytest

from nanobus import BusClosedError, BusFormatError, MappingError
from nanobus.memory.file import FileMapping

PAGE = os.sysconf("SC_PAGESIZE")


def test_new_file_is_zero_private_and_whole_pages(tmp_path):
    mapping = FileMapping(tmp_path / "file", 5000)
    assert (mapping.created, mapping.size, mapping.path) == (True, 2 * PAGE, str(tmp_path / "file"))
    assert mapping.read(0, mapping.size) == bytes(2 * PAGE)
    status = (tmp_path / "file").stat()
    assert (stat.S_IMODE(status.st_mode), status.st_size) == (0o600, 2 * PAGE)
    assert status.st_blocks * 512 >= 2 * PAGE
    mapping.close()


def test_everybody_who_maps_it_sees_the_same_bytes(tmp_path):
    one = FileMapping(tmp_path / "file", PAGE)
    other = FileMapping(tmp_path / "file")
    assert (other.created, other.size) == (False, PAGE)
    one.write(100, b"seen")
    assert other.read(100, 4) == b"seen"
    assert (tmp_path / "file").read_bytes()[100:104] == b"seen"


def test_grown_file_keeps_its_bytes_and_the_new_ones_are_zero(tmp_path):
    mapping = FileMapping(tmp_path / "file", PAGE)
    mapping.write(0, b"x" * PAGE)
    mapping.grow_to(10 * PAGE + 1)
    assert mapping.size == 11 * PAGE == (tmp_path / "file").stat().st_size
    assert mapping.read(0, mapping.size) == b"x" * PAGE + bytes(10 * PAGE)
    mapping.grow_to(1)
    assert mapping.size == 11 * PAGE


def test_longer_file_is_mapped_whole_and_a_shorter_one_extended(tmp_path):
    FileMapping(tmp_path / "file", 4 * PAGE).close()
    assert FileMapping(tmp_path / "file", 1).size == 4 * PAGE
    assert FileMapping(tmp_path / "file", 6 * PAGE).size == 6 * PAGE


def test_growing_is_refused_while_a_view_is_out(tmp_path):
    mapping = FileMapping(tmp_path / "file", PAGE)
    view = memoryview(mapping)
    with pytest.raises(BufferError, match="grow"):
        mapping.grow_to(2 * PAGE)
    view.release()
    mapping.grow_to(2 * PAGE)
    assert mapping.size == 2 * PAGE


def test_synced_bytes_are_in_the_file(tmp_path):
    mapping = FileMapping(tmp_path / "file", PAGE)
    mapping.write(7, b"kept")
    mapping.sync()
    mapping.close()
    assert (tmp_path / "file").read_bytes()[7:11] == b"kept"
    for call in (mapping.sync, lambda: mapping.grow_to(PAGE)):
        with pytest.raises(BusClosedError):
            call()


@pytest.mark.parametrize("size", [0, -1])
def test_size_below_one_is_refused(tmp_path, size):
    with pytest.raises(ValueError, match="size"):
        FileMapping(tmp_path / "file", size)


def test_missing_file_without_a_size_is_an_error_with_errno(tmp_path):
    with pytest.raises(MappingError) as caught:
        FileMapping(tmp_path / "file")
    assert caught.value.errno == 2


def test_what_is_no_regular_file_is_refused(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "elsewhere")
    os.mkfifo(tmp_path / "fifo", 0o600)
    (tmp_path / "empty").touch(0o600)
    (tmp_path / "folder").mkdir()
    for name, size in (("link", PAGE), ("fifo", None), ("empty", None)):
        with pytest.raises(BusFormatError):
            FileMapping(tmp_path / name, size)
    with pytest.raises(MappingError) as caught:
        FileMapping(tmp_path / "folder")
    assert caught.value.errno == 21


def test_file_that_others_may_write_to_is_refused(tmp_path):
    FileMapping(tmp_path / "file", PAGE).close()
    (tmp_path / "file").chmod(0o606)
    with pytest.raises(MappingError, match="writable by other users"):
        FileMapping(tmp_path / "file")


def test_file_size_limit_is_an_error_and_the_mapping_stays(tmp_path):
    code = """
        import resource, sys
        from nanobus import MappingError
        from nanobus.memory.file import FileMapping
        mapping = FileMapping(sys.argv[1], 4096)
        mapping.write(0, b"here")
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (8192, limit[1]))
        try:
            mapping.grow_to(1 << 20)
        except MappingError as error:
            print(error.errno, mapping.size, mapping.read(0, 4))
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        mapping.grow_to(1 << 20)
        print(mapping.size, mapping.read(0, 4))
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "file")],
        capture_output=True, text=True, timeout=60,
    )
    assert run.stdout.splitlines() == ["27 4096 b'here'", "1048576 b'here'"], run.stderr
