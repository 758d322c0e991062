"""Processes that fork, or become another program: the lines of a bus stay with whoever took them, and with nobody else.

Everything runs in scripts of their own: pytest is not forked.
"""

from programs import run_program

HANDLES_OF_ANOTHER_THREAD = """
    import os, sys, threading
    from nanobus import BusFullError, CircularBus

    bus = CircularBus(4096)
    bus.write(1, 1, b"first")
    kept = threading.local()
    opened, forked = threading.Event(), threading.Event()

    class Farewell:
        def __init__(self):
            self.writer = bus.writer()

        def __del__(self):
            self.writer.write(1, 1, b"from the child's destructor")

    def own():
        kept.reader, kept.farewell = bus.reader(), Farewell()
        opened.set()
        forked.wait(20)
        print(kept.reader.read(0).payload, kept.reader.read(0))

    thread = threading.Thread(target=own)
    thread.start()
    opened.wait(20)
    sys.unraisablehook = lambda unraisable: print(type(unraisable.exc_value).__name__, flush=True)
    child = os.fork()
    if child == 0:
        os._exit(0)
    os.waitpid(child, 0)
    statistics = bus.statistics()
    print(len(statistics.writers), [reader.gating for reader in statistics.readers], flush=True)
    forked.set()
    thread.join()
"""


def test_forked_child_leaves_the_handles_of_threads_that_it_has_not_alone():
    assert run_program(HANDLES_OF_ANOTHER_THREAD)[0].splitlines()[:3] == ["BusClosedError", "2 [True]", "b'first' None"]


def test_child_forked_by_c_code_has_no_lines_either():
    code = """
        import ctypes, os
        from nanobus import BusClosedError, CircularBus
        bus = CircularBus(4096)
        reader, writer = bus.reader(), bus.writer()
        bus.write(1, 1, b"first")
        child = ctypes.PyDLL(None).fork()                   # no Python hook runs
        if child == 0:
            refused = 0
            for call in (lambda: bus.write(1, 1, b""), lambda: writer.write(1, 1, b""), lambda: reader.read(0)):
                try:
                    call()
                except BusClosedError:
                    refused += 1
            reader.close()
            del writer, reader
            os._exit(refused)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), len(bus.statistics().writers), reader.read(0).payload)
    """
    assert run_program(code)[0] == "3 2 b'first'\n"


def test_grandchild_has_no_lines_either():
    code = """
        import os
        from nanobus import BusClosedError, CircularBus
        bus = CircularBus(4096)
        reader = bus.reader()
        bus.write(1, 1, b"first")
        child = os.fork()
        if child == 0:
            grandchild = os.fork()
            if grandchild == 0:
                try:
                    reader.read(0)
                except BusClosedError:
                    os._exit(7)
                os._exit(1)
            os._exit(os.waitstatus_to_exitcode(os.waitpid(grandchild, 0)[1]))
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), bus.statistics().readers[0].gating)
    """
    assert run_program(code)[0] == "7 True\n"


def test_forked_child_that_leaves_the_block_of_a_run_ends():
    code = """
        import os, sys
        from nanobus import CircularBus, Handler, Messenger, Worker

        class Idle(Handler, id=1):
            pass

        with Messenger(CircularBus(4096), [Worker("a", [Idle])]).run() as handles:
            child = os.fork()
            if child == 0:
                handles.stop()
                sys.exit(3 if handles.finished else 4)
            print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), handles.finished, flush=True)
        print(handles.finished)
    """
    assert run_program(code)[0] == "3 False\nTrue\n"


BECOMES_ANOTHER_PROGRAM = """
    import os, sys
    from nanobus import CircularBus, Record, message, u64

    @message(id=1)
    class Number(Record):
        value: u64

    path = sys.argv[1]
    if len(sys.argv) == 2:
        bus = CircularBus(4096, path, writers=2)
        reader = bus.reader()
        bus.write(1, 1, b"first")
        claim = bus.sender(1).claim(Number)
        claim.__enter__()
        os.execv(sys.executable, [sys.executable, "-c", sys.orig_argv[-2], path, "again"])
    first, second = CircularBus(path=path), CircularBus(path=path)
    reader = second.reader()
    print(reader.read(0).payload)
    for _ in range(100):
        first.write(2, 2, bytes(480), timeout=20)
        while reader.read(0):
            pass
    statistics = first.statistics()
    print(statistics.sealed, statistics.dead_readers, len(statistics.writers), len(statistics.readers))
"""


def test_program_that_executes_itself_frees_what_it_held_before_and_keeps_what_it_holds(tmp_path):
    assert run_program(BECOMES_ANOTHER_PROGRAM, tmp_path / "ring")[0] == "b'first'\n1 1 2 1\n"


def test_journal_loses_no_line_to_a_forked_child_and_its_cursors_outlive_the_program_that_executes_itself(tmp_path):
    code = """
        import os, subprocess, sys
        from nanobus import JournalBus

        path = sys.argv[1]
        if len(sys.argv) == 2:
            bus = JournalBus(path)
            bus.write(1, 1, b"first")
            reader, named = bus.reader(), bus.reader("named")
            if os.fork() == 0:
                del reader, named
                os._exit(0)
            os.wait()
            print(len(bus.statistics().readers), reader.read(0).payload, flush=True)
            hold = "import nanobus, sys; bus = nanobus.JournalBus(sys.argv[1]); print(flush=True); sys.stdin.read()"
            other = subprocess.Popen([sys.executable, "-c", hold, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE)
            other.stdout.readline()                         # from here on the journal is in use, and not recovered
            os.set_inheritable(other.stdin.fileno(), True)
            os.execv(sys.executable, [sys.executable, "-c", sys.orig_argv[-2], path, "again"])
        bus = JournalBus(path)
        print(bus.recovery.reason, bus.reader("named").read(0).payload)
    """
    assert run_program(code, tmp_path / "journal")[0] == "2 b'first'\njoined b'first'\n"
