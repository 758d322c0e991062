"""Several processes with one journal: writing and reading at once, dying with claims open, forking."""

import signal
import subprocess
import sys
import textwrap

import pytest

from nanobus import JournalBus, Retention

SEGMENT = 4096


def start(code, *arguments):
    prologue = "import os, sys\nfrom nanobus import *\n"
    return subprocess.Popen(
        [sys.executable, "-W", "ignore", "-c", prologue + textwrap.dedent(code), *map(str, arguments)],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )


def finish(process, timeout=120):
    out, error = process.communicate(timeout=timeout)
    assert process.returncode == 0, error
    return out


WRITE = """
    source, count, sync = int(sys.argv[2]), int(sys.argv[3]), sys.argv[4]
    with JournalBus(sys.argv[1], segment_size=4096, sync=sync) as bus:
        print('open', flush=True)
        sys.stdin.readline()
        for number in range(count):
            bus.write(source, 1, b'%d ' % number + bytes(number * 7 % 300))
"""
READ = """
    with JournalBus(sys.argv[1], segment_size=4096) as bus:
        reader = bus.reader()
        print('open', flush=True)
        sys.stdin.readline()
        seen = {}
        for _ in range(int(sys.argv[2])):
            message = reader.read(60)
            number = int(message.payload.split()[0])
            assert number == seen.get(message.source, -1) + 1, (message.source, number, seen)
            assert message.payload == b'%d ' % number + bytes(number * 7 % 300)
            seen[message.source] = number
        print(reader.position)
"""


def test_processes_write_and_read_at_once_and_all_see_one_order(tmp_path):
    path, count = tmp_path / "journal", 400
    crowd = [start(WRITE, path, source, count, sync) for source, sync in ((1, "none"), (2, "commit"), (3, "interval"))]
    crowd += [start(READ, path, 3 * count) for _ in range(2)]
    assert [process.stdout.readline() for process in crowd] == ["open\n"] * 5, crowd[0].stderr.read()
    for process in crowd:
        process.stdin.write("go\n")
        process.stdin.flush()
    outcomes = [finish(process) for process in crowd]
    with JournalBus(path) as bus:
        assert bus.recovery.reason == "clean"
        assert outcomes[3:] == [f"{bus.head}\n"] * 2
        assert bus.statistics().committed == 3 * count


def test_claim_of_a_killed_process_is_sealed_by_who_reads_on(tmp_path):
    code = """
        @message(id=1)
        class Point(Record):
            x: f64
        bus = JournalBus(sys.argv[1], segment_size=4096)
        bus.write(4, 1, b'before')
        claim = bus.sender(5).claim(Point)
        claim.__enter__().x = 1.0
        bus.write(4, 1, b'behind')
        print('now', flush=True)
        sys.stdin.readline()
    """
    with JournalBus(tmp_path / "journal", segment_size=SEGMENT, sync="commit") as bus:
        reader = bus.reader()
        process = start(code, tmp_path / "journal")
        assert process.stdout.readline() == "now\n"
        assert reader.read(20).payload == b"before"
        assert reader.read(0.2) is None
        process.send_signal(signal.SIGKILL)
        process.communicate(timeout=20)
        bus.write(6, 1, b"after")                       # which waits until everything before it is durable
        assert bus.durable == bus.head
        assert [reader.read(20).payload for _ in range(2)] == [b"behind", b"after"]
        assert bus.statistics().sealed == 1


def test_next_opening_seals_what_the_last_process_left_open(tmp_path):
    code = """
        @message(id=1)
        class Point(Record):
            x: f64
        bus = JournalBus(sys.argv[1], segment_size=4096)
        for number in range(30):
            bus.write(4, 1, bytes(200))
        claim = bus.sender(5).claim(Point)
        claim.__enter__().x = 1.0
        for number in range(30):
            bus.write(4, 1, bytes(200))
        reader = bus.reader('here')
        reader.read(0)
        os.kill(os.getpid(), 9)
    """
    process = start(code, tmp_path / "journal")
    process.communicate(timeout=60)
    assert process.returncode == -signal.SIGKILL
    with JournalBus(tmp_path / "journal") as bus:
        assert (bus.recovery.reason, bus.recovery.sealed, bus.recovery.cut_bytes) == ("crash", 1, 0)
        reader = bus.reader()
        assert [reader.read(0).payload for _ in range(60)] == [bytes(200)] * 60
        assert reader.read(0) is None
        assert bus.reader("here").position == 256
    with JournalBus(tmp_path / "journal") as bus:
        assert bus.recovery.reason == "clean"


def test_forked_child_lets_go_of_the_journal_and_may_open_it_anew(tmp_path):
    code = """
        bus = JournalBus(sys.argv[1], segment_size=4096, sync='interval', sync_interval=0.01)
        reader = bus.reader('here')
        bus.write(1, 1, b'before')
        child = os.fork()
        if child == 0:
            try:
                bus.write(1, 1, b'by the child')
            except BusClosedError:
                bus.close()
                del reader, bus
                with JournalBus(sys.argv[1]) as own:
                    assert own.recovery.reason == 'joined'
                    own.write(2, 1, b'opened anew')
                    try:
                        own.reader('here')
                    except CursorInUseError:
                        os._exit(0)
            os._exit(1)
        assert os.waitpid(child, 0)[1] == 0
        print([reader.read(5).payload for _ in range(2)], bus.statistics().readers[0].gating)
        bus.write(1, 1, b'still mine')
        assert reader.read(0).payload == b'still mine'
    """
    assert finish(start(code, tmp_path / "journal")) == "[b'before', b'opened anew'] True\n"


def test_parent_that_ends_before_its_child_is_noticed(tmp_path):
    code = """
        bus = JournalBus(sys.argv[1], segment_size=4096)
        bus.write(1, 1, b'x')
        if os.fork() == 0:
            print('child', flush=True)
            sys.stdin.readline()
            os._exit(0)
        os.kill(os.getpid(), 9)
    """
    process = start(code, tmp_path / "journal")
    assert process.stdout.readline() == "child\n"
    assert process.wait(20) == -signal.SIGKILL
    with JournalBus(tmp_path / "journal") as bus:
        assert bus.recovery.reason == "crash"
        assert bus.reader().read(0).payload == b"x"
    process.communicate("go\n", timeout=20)


def test_process_that_ends_without_closing_ends_at_once(tmp_path):
    code = """
        bus = JournalBus(sys.argv[1], segment_size=4096, sync='interval', sync_interval=0.001)
        for number in range(200):
            bus.write(1, 1, bytes(100))
        print(bus.head)
    """
    head = int(finish(start(code, tmp_path / "journal"), timeout=60))
    with JournalBus(tmp_path / "journal") as bus:
        assert bus.head == head


def test_write_that_waits_behind_an_open_claim_can_be_interrupted(tmp_path):
    code = """
        import signal, threading
        @message(id=1)
        class Point(Record):
            x: f64
        bus = JournalBus(sys.argv[1], segment_size=4096, sync='commit')
        entered, leave = threading.Event(), threading.Event()
        def hold():
            with bus.sender(5).claim(Point):
                entered.set()
                leave.wait()
        thread = threading.Thread(target=hold)
        thread.start()
        entered.wait()
        signal.signal(signal.SIGALRM, signal.default_int_handler)
        try:
            signal.setitimer(signal.ITIMER_REAL, 0.3)
            bus.write(1, 1, b'behind')
        except KeyboardInterrupt:
            print('interrupted')
        leave.set()
        thread.join()
        bus.write(1, 1, b'x')
        print(bus.durable == bus.head)
        bus.close()
    """
    assert finish(start(code, tmp_path / "journal"), timeout=60) == "interrupted\nTrue\n"


@pytest.mark.parametrize("held", ["bus.reader()", "bus.sender(5).claim(Stamp).__enter__()"], ids=["reader", "claim"])
def test_killed_process_holds_neither_syncing_nor_retention_back(tmp_path, held):
    code = f"""
        @message(id=7)
        class Stamp(Record):
            number: u64
        bus = JournalBus(sys.argv[1])
        held = {held}
        print("open", flush=True)
        sys.stdin.readline()
    """
    with JournalBus(
        tmp_path / "journal", segment_size=SEGMENT, sync="interval", sync_interval=1000, retention=Retention(count=2)
    ) as bus:
        bus.write(1, 1, b"first")
        with start(code, tmp_path / "journal") as process:
            assert process.stdout.readline() == "open\n", process.stderr.read()
            process.kill()
        for _ in range(20):
            bus.write(1, 1, bytes(1000))
        bus.keep_house()
        assert bus.durable == bus.head
        assert bus.statistics().segments == 3       # two, and the one made ready


def test_lock_of_the_cursors_does_not_stay_with_a_child_forked_meanwhile(tmp_path):
    out = finish(start("""
        import fcntl
        from nanobus.journal.control_file import locked
        with JournalBus(sys.argv[1]) as bus:
            control = os.path.join(sys.argv[1], "control")
            with locked(control):
                child = os.fork()
                if child == 0:
                    sys.stdin.read()
                    os._exit(0)
            with open(control) as file:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            bus.reader("name").close()
            print("free")
        os.kill(child, 9)
    """, tmp_path / "journal"))
    assert out == "free\n"


def test_child_forked_inside_a_claim_ends_and_leaves_the_journal_sound(tmp_path):
    finish(start("""
        @message(id=7)
        class Stamp(Record):
            number: u64
        with JournalBus(sys.argv[1], sync="commit") as bus:
            try:
                with bus.sender(5).claim(Stamp) as stamp:
                    stamp.number = 1
                    child = os.fork()
                    if child == 0:
                        sys.exit(0)
                    assert os.waitpid(child, 0)[1] == 0
            except SystemExit:
                os._exit(0)
            bus.write(1, 1, b"more")
            assert bus.durable == bus.head
    """, tmp_path / "journal"))
    with JournalBus(tmp_path / "journal") as bus:
        assert bus.statistics().committed == 2
