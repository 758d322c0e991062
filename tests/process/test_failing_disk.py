"""A disk that refuses to sync: what was promised holds, what was not is said, opening anew mends what can be mended."""

import os
import shlex
import subprocess
import sys
import sysconfig
import textwrap
from pathlib import Path

import pytest

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="a library is preloaded the way of Linux")

PROLOGUE = """
    import errno, sys
    from pathlib import Path
    from nanobus import *
    sign = Path(sys.argv[2])
    def refused(call, *arguments):
        try:
            call(*arguments)
        except MappingError as error:
            return error.errno == errno.EIO and "only in memory" in str(error)
        return False
    def payloads(bus):
        reader = bus.reader(gate=False)
        return [one.payload for one in iter(lambda: reader.read(0), None)]
    bus = JournalBus(sys.argv[1], segment_size=4096, sync="commit", sync_interval=1000)
"""


@pytest.fixture(scope="module")
def library(tmp_path_factory):
    made = tmp_path_factory.mktemp("library") / "failing_disk.so"
    compiler = shlex.split(sysconfig.get_config_var("CC") or "cc")[:1]
    source = Path(__file__).parent / "failing_disk.c"
    subprocess.run([*compiler, "-shared", "-fPIC", "-o", made, source, "-ldl"], check=True)
    return made


@pytest.fixture
def program(library, tmp_path):
    """Runs code in a process of its own that has `bus` and `sign`, the file that makes its syncs fail."""

    def run(code):
        code = textwrap.dedent(PROLOGUE) + textwrap.dedent(code)
        sign = tmp_path / "sign"
        process = subprocess.run(
            [sys.executable, "-c", code, tmp_path / "journal", sign], capture_output=True, text=True, timeout=120,
            env=os.environ | {"LD_PRELOAD": str(library), "NANOBUS_TEST_EIO": str(sign)},
        )
        assert process.returncode == 0, process.stderr
        return process.stdout

    return run


def test_no_promise_is_made_after_a_refused_sync_even_when_the_disk_says_yes_again(program):
    program("""
        bus.write(1, 1, b"safe")
        safe = bus.durable
        sign.touch()
        assert refused(bus.write, 1, 1, b"unsure")
        sign.unlink()
        assert refused(bus.write, 1, 1, b"late")
        assert refused(bus.sync)
        assert bus.durable == safe
        assert payloads(bus) == [b"safe", b"unsure"]
        assert refused(bus.close)
    """)


def test_refused_sync_of_the_keeper_ends_the_writes_of_an_interval_and_no_others(program):
    program("""
        interval = JournalBus(sys.argv[1], sync="interval", sync_interval=1000)
        never = JournalBus(sys.argv[1], sync_interval=1000)
        interval.write(1, 1, b"before")
        sign.touch()
        assert refused(interval.keep_house)
        assert refused(interval.write, 1, 1, b"not begun")
        never.write(1, 1, b"promises nothing")
        assert payloads(bus) == [b"before", b"promises nothing"]
        assert refused(interval.close)
    """)


@pytest.mark.parametrize("end", ["refused(bus.close)", "import os; os._exit(0)"], ids=["closed", "dead"])
def test_opening_anew_writes_again_what_the_disk_may_not_have(program, end):
    program(f"""
        for number in range(20):
            bus.write(1, 1, b"%d" % number + bytes(500))
        sign.touch()
        never = JournalBus(sys.argv[1], sync_interval=1000)
        for number in range(20, 39):
            never.write(1, 1, b"%d" % number + bytes(500))
        assert refused(bus.write, 1, 1, b"39" + bytes(500))
        {end}
    """)
    program("sign.unlink()" if end.startswith("import") else """
        assert bus.recovery.reason == "refused", bus.recovery
        assert refused(bus.sync)                            # the disk still says no, and so does the journal
        assert len(payloads(bus)) == 40
        refused(bus.close)
        sign.unlink()
    """)
    program("""
        assert bus.recovery.reason == "refused", bus.recovery
        assert bus.recovery.cut_bytes == 0
        assert bus.durable == bus.head
        bus.write(1, 1, b"40" + bytes(500))
        assert bus.durable == bus.head
        assert [int(one[:2].rstrip(b"\\0")) for one in payloads(bus)] == list(range(41))
    """)


def test_what_the_disk_lost_is_cut_away_and_never_promised(program, tmp_path):
    program("""
        bus.write(1, 1, b"safe" * 100)
        sign.touch()
        never = JournalBus(sys.argv[1], sync_interval=1000)
        never.write(1, 1, b"lost" * 100)
        assert refused(bus.write, 1, 1, b"last" * 100)
        refused(bus.close)
        sign.unlink()
    """)
    with (tmp_path / "journal" / "0000000000000000.segment").open("r+b") as file:
        file.seek(4096 + 448)
        file.write(bytes(448))                              # as if the kernel had dropped the page
    program("""
        assert bus.recovery.reason == "refused"
        assert (bus.recovery.cut_from, bus.recovery.cut_bytes > 0) == (448, True), bus.recovery
        assert payloads(bus) == [b"safe" * 100]
        bus.write(1, 1, b"more")
        assert payloads(bus) == [b"safe" * 100, b"more"]
    """)
