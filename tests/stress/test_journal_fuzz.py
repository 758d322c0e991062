"""Random damage to the files of a journal: whatever is there, a reader ends with messages or an error by name."""

import contextlib
import shutil
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from nanobus import CorruptMessageError, Gap, JournalBus, NanobusError

SEGMENT = 4096
FILES = ["control", "0000000000000000.segment", "0000000000001000.segment", "0000000000002000.segment"]

edits = st.lists(
    st.tuples(
        st.sampled_from(FILES),
        st.one_of(st.integers(0, 2 * SEGMENT), st.integers(4096, 4096 + 600)),
        st.one_of(
            st.binary(min_size=1, max_size=40),
            st.sampled_from([bytes(64), b"\xff" * 64, b"\x00\xff\x00\x00", b"\xff\xff\xff\xff", bytes(2000)]),
        ),
    ),
    min_size=1, max_size=8,
)  # fmt: skip


@pytest.fixture(scope="module", params=[True, False], ids=["checksums", "bare"])
def sound(request, tmp_path_factory):
    path = tmp_path_factory.mktemp("sound") / "journal"
    with JournalBus(path, segment_size=SEGMENT, writers=2, readers=2, checksum=request.param) as bus:
        for number in range(40):
            bus.write(number, 2, bytes([number]) * (number * 11))
    return {name: (path / name).read_bytes() for name in FILES}, request.param


@settings(max_examples=300, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(edits=edits, cut=st.none() | st.tuples(st.sampled_from(FILES), st.integers(0, 9000)))
def test_reader_of_random_bytes_ends_by_name(sound, tmp_path, edits, cut):
    content, checked = sound
    path = tmp_path / "journal"
    shutil.rmtree(path, ignore_errors=True)
    path.mkdir(mode=0o700)
    damaged = {name: bytearray(file) for name, file in content.items()}
    for name, at, change in edits:
        damaged[name][at : at + len(change)] = change
    if cut:
        del damaged[cut[0]][cut[1] :]
    for name, file in damaged.items():
        write_file(path / name, file)
    try:
        bus = JournalBus(path, segment_size=SEGMENT)
    except NanobusError:
        return
    with bus:
        for _ in range(2):
            read_to_the_end(bus, checked)
            for position in range(0, min(bus.head, 4 * SEGMENT), 32):
                with contextlib.suppress(NanobusError):
                    bus.read(position)
            try:
                bus.write(1, 1, b"more")
                bus.sync()
            except NanobusError:
                return


def write_file(path: Path, content):
    path.write_bytes(content)
    path.chmod(0o600)


def read_to_the_end(bus, checked):
    reader = bus.reader(gate=False)
    for _ in range(1000):
        try:
            found = reader.read(0)
        except CorruptMessageError:
            continue
        except NanobusError:
            return
        if found is None:
            return
        if checked and not isinstance(found, Gap) and found.message_id == 2:
            assert found.payload == bytes([found.source]) * (found.source * 11)
    raise AssertionError("the reader never comes to an end")
