"""What the system refuses a journal: files, their size, descriptors, blocks of a disk. Nothing is lost or half done."""

import os
import resource
import shutil
import subprocess
import sys
import textwrap

import pytest

from nanobus import JournalBus, MappingError, Retention
from nanobus.memory.file import FILLS_HOLES

SEGMENT = 4096


def make(path, **options):
    return JournalBus(path, segment_size=SEGMENT, sync_interval=1000, **options)


# ---- no room ----

FULL = """
    import resource, sys
    from nanobus import JournalBus, MappingError
    bus = JournalBus(sys.argv[1], segment_size=1 << 22, sync_interval=1000)
    before = [bus.write(1, 1, bytes(1000)) for _ in range(10)]
    head = bus.head
    limit = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, limit[1]))
    for _ in range(3):
        try:
            bus.write(1, 1, bytes(2 << 20))
        except MappingError as error:
            print(error.errno)
    assert bus.head == head
    assert bus.statistics().committed == 10
    small = bus.write(1, 1, b"small")
    assert small == head
    resource.setrlimit(resource.RLIMIT_FSIZE, limit)
    large = bus.write(1, 1, b"L" * (2 << 20))
    assert bus.read(large).payload == b"L" * (2 << 20)
    assert bus.read(small).payload == b"small"
    reader = bus.reader()
    assert [reader.read(0).position for _ in range(12)] == [*before, small, large]
    print("done")
"""


def test_file_size_limit_refuses_a_message_and_leaves_the_journal_usable(tmp_path):
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(FULL), str(tmp_path / "journal")],
        capture_output=True, text=True, timeout=60,
    )
    assert run.stdout.split() == ["27", "27", "27", "done"], run.stderr


def test_segment_that_cannot_be_made_is_no_half_segment(tmp_path):
    code = """
        import os, resource, sys
        from nanobus import JournalBus, MappingError
        bus = JournalBus(sys.argv[1], segment_size=4096, sync_interval=1000)
        bus.write(1, 1, bytes(4064))
        limit = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (4096, limit[1]))
        for _ in range(2):
            try:
                bus.write(1, 1, b"next")
            except MappingError as error:
                print(error.errno, bus.head, sorted(os.listdir(sys.argv[1])))
        resource.setrlimit(resource.RLIMIT_FSIZE, limit)
        print(bus.write(1, 1, b"next"))
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), str(tmp_path / "journal")],
        capture_output=True, text=True, timeout=60,
    )
    files = "['0000000000000000.segment', 'control', 'lock']"
    assert run.stdout.splitlines() == [f"27 4096 {files}", f"27 4096 {files}", "4096"], run.stderr + run.stdout


@pytest.mark.parametrize("rebooted", [False, True])
def test_recovery_with_too_few_files_to_open_cuts_nothing(tmp_path, rebooted):
    with JournalBus(tmp_path / "journal", segment_size=4096, writers=2, readers=2) as bus:
        for number in range(20):
            bus.write(1, 1, b"%02d" % number + bytes(500))
        head = bus.head
    if rebooted:
        with (tmp_path / "journal" / "control").open("r+b") as file:
            file.seek(1024 + 128 * 4 + 16)
            file.write(bytes(16) + bytes(16) + b"another boot id.")      # and nothing is known to be on the disk
    code = """
        import os, resource, sys
        from nanobus import JournalBus, MappingError
        used = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
        outcomes = set()
        for spare in range(10):
            resource.setrlimit(resource.RLIMIT_NOFILE, (used + spare, 4096))
            try:
                with JournalBus(sys.argv[1], sync_interval=1000) as bus:
                    assert bus.recovery.cut_bytes == 0
                    assert bus.head == int(sys.argv[2])
                    outcomes.add("open")
            except MappingError as error:
                assert error.errno == 24, error
                outcomes.add("refused")
        print(sorted(outcomes))
    """
    process = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code), tmp_path / "journal", str(head)],
        capture_output=True, text=True, timeout=60,
    )
    assert process.stdout == "['open', 'refused']\n", process.stderr
    with JournalBus(tmp_path / "journal") as bus:
        reader = bus.reader()
        assert [int(reader.read(0).payload[:2]) for _ in range(20)] == list(range(20))


def test_too_many_open_files_is_an_error_and_forgets_no_promise(tmp_path):
    limit = resource.getrlimit(resource.RLIMIT_NOFILE)
    with JournalBus(tmp_path / "journal", segment_size=1 << 20, sync="commit", sync_interval=1000) as bus:
        bus.write(1, 1, b"before")
        used = max(int(name) for name in os.listdir("/proc/self/fd")) + 1
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (min(used, 4), limit[1]))
            with pytest.raises(MappingError) as caught:
                bus.write(1, 1, b"not promised")
        finally:
            resource.setrlimit(resource.RLIMIT_NOFILE, limit)
        assert caught.value.errno == 24
        bus.write(1, 1, b"after")
        assert bus.durable == bus.head


@pytest.fixture
def small_disk(tmp_path):
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = os.geteuid() == 0 and shutil.which("mount") is not None and subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m,mode=700", "tmpfs", str(folder)], capture_output=True
    ).returncode == 0
    if not mounted:
        pytest.skip("needs the right to mount a tmpfs")
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True, capture_output=True)


def test_full_disk_refuses_messages_and_goes_on_when_there_is_room(small_disk):
    with make(small_disk / "journal") as bus:
        count = 0
        with pytest.raises(MappingError) as caught:
            while True:
                bus.write(1, 1, b"%04d" % count + bytes(3000))
                count += 1
        assert caught.value.errno == 28
        assert count > 50
        head = bus.head
        with pytest.raises(MappingError):
            bus.write(1, 1, bytes(4000))
        reader = bus.reader()
        assert [int(reader.read(0).payload[:4]) for _ in range(count)] == list(range(count))
        assert reader.read(0) is None
        for base in range(0, 10 * SEGMENT, SEGMENT):
            (small_disk / "journal" / f"{base:016x}.segment").unlink()
        assert bus.write(1, 1, b"after") >= head
        assert reader.read(0).payload == b"after"


def test_full_disk_gets_room_by_retention(small_disk):
    with JournalBus(
        small_disk / "journal", segment_size=1 << 17, sync="interval", sync_interval=1000, retention=Retention(count=2)
    ) as bus:
        for _ in range(4 * 21 + 14):                # four segments, and more than half of a fifth
            bus.write(1, 1, bytes(6000))
        with (small_disk / "ballast").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
        bus.keep_house()                            # wants to make the sixth
        assert bus.tail == 3 << 17
        assert bus.durable == bus.head
        assert bus.statistics().segments == 3


def test_full_disk_does_not_keep_the_keeper_from_syncing(small_disk):
    with JournalBus(small_disk / "journal", segment_size=1 << 17, sync="interval", sync_interval=1000) as bus:
        for _ in range(14):
            bus.write(1, 1, bytes(6000))
        with (small_disk / "ballast").open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
            while True:
                file.write(bytes(4096))
        with pytest.raises(MappingError, match="cannot make the next segment"):
            bus.keep_house()
        assert bus.durable == bus.head


def test_new_journal_on_a_full_disk_is_an_error_with_errno(small_disk):
    ballast = small_disk / "ballast"
    with ballast.open("wb", buffering=0) as file, pytest.raises(OSError, match="No space"):
        while True:
            file.write(bytes(4096))
    with pytest.raises(MappingError) as caught:
        make(small_disk / "journal")
    assert caught.value.errno == 28
    ballast.unlink()
    with make(small_disk / "journal") as bus:
        assert bus.write(1, 1, b"x") == 0


def test_sync_that_could_not_ask_the_disk_is_tried_again_and_stops_no_retention(tmp_path):
    with make(tmp_path / "journal", sync="interval", retention=Retention(count=2)) as bus:
        bus.write(1, 1, b"x")
        first = tmp_path / "journal" / "0000000000000000.segment"
        first.chmod(0o660)                          # so that it is not opened any more
        for _ in range(20):
            bus.write(1, 1, bytes(1000))
        for _ in range(2):
            with pytest.raises(MappingError, match="cannot sync now"):
                bus.sync()
        with pytest.raises(MappingError, match="cannot sync now"):
            bus.keep_house()
        assert not first.exists()
        bus.keep_house()
        assert bus.durable == bus.head
        assert bus.statistics().segments == 3


@pytest.mark.skipif(not FILLS_HOLES, reason="this build has no call that fills holes")
def test_copy_with_holes_gets_its_blocks_before_a_writer_touches_them(tmp_path):
    with JournalBus(tmp_path / "journal", segment_size=1 << 20, sync_interval=1000) as bus:
        bus.write(1, 1, b"x")
    segment = tmp_path / "journal" / "0000000000000000.segment"
    content = segment.read_bytes()
    segment.unlink()
    with segment.open("wb") as file:
        file.write(content[:8192])
        file.truncate(len(content))
    segment.chmod(0o600)
    assert segment.stat().st_blocks * 512 < 1 << 20
    with JournalBus(tmp_path / "journal", sync_interval=1000) as bus:
        bus.write(1, 1, b"y")
        assert segment.stat().st_blocks * 512 >= 1 << 20
