"""Ctrl-C and signal handlers at every moment of starting and stopping.

Python looks for signals when a function is entered, after a call, and when a loop goes round. Each script does the same
thing again and again, and interrupts itself at the first such moment, then at the second, and so on until it is
through.
"""

import subprocess
import sys
import textwrap

PROLOGUE = """
    import dis, sys
    from nanobus import CircularBus, Handler, Messenger, Worker

    class First(Handler, id=1):
        pass

    class Second(Handler, id=2):
        pass

    def at_moment(number, action, act):
        '''Call `act` in this thread, and `action` at a moment of it; whether the act had so many.'''
        seen = 0
        last = {}                                           # id of a frame -> the instruction it did last

        def look(frame, event, argument):
            nonlocal seen
            if not any(part in frame.f_code.co_filename for part in ("nanobus", "threading", "weakref")):
                return None
            if frame.f_code.co_name == "_remove":           # a weak reference calls it, and drops what it raises
                return None
            frame.f_trace_opcodes = True
            if event == "call":
                last[id(frame)] = ""
            if event == "opcode":
                before = last[id(frame)]
                last[id(frame)] = dis.opname[frame.f_code.co_code[frame.f_lasti]]
                entered = before == "RESUME" and frame.f_code.co_name != "__exit__"     # no code of ours comes earlier
                if entered or before.startswith("CALL") or before == "JUMP_BACKWARD":
                    seen += 1
                    if seen == number:
                        sys.settrace(None)
                        action()
            return look

        sys.settrace(look)
        try:
            act()
        finally:
            sys.settrace(None)
        return seen >= number

    def interrupt():
        raise KeyboardInterrupt

    number, more = 0, True
    while more:
        number += 1
        bus = CircularBus(4096)
        messenger = Messenger(bus, [Worker("a", [First]), Worker("b", [Second])])
"""


def run(code):
    run = subprocess.run(
        [
            sys.executable, "-c",
            textwrap.dedent(PROLOGUE) + textwrap.indent(textwrap.dedent(code), "    ") + '\nprint(number > 10)',
        ],
        capture_output=True, text=True, timeout=120,
    )
    assert run.returncode == 0, run.stderr
    assert run.stdout == "True\n"


def test_interrupt_at_any_moment_of_run_leaves_nothing_behind():
    run("""
        handles = []
        try:
            more = at_moment(number, interrupt, lambda: handles.append(messenger.run()))
        except KeyboardInterrupt as interrupt_kept:         # and with it every frame it passed
            if handles:
                handles[0].stop()
            assert bus.statistics().readers == (), number
            messenger.run().stop(timeout=20)
        else:
            assert not more, number
            handles[0].stop()
    """)


def test_interrupt_at_any_moment_of_leaving_the_block_stops_the_workers():
    run("""
        try:
            handles = messenger.run()
            more = at_moment(number, interrupt, lambda: handles.__exit__(None, None, None))
        except KeyboardInterrupt:
            pass
        assert handles.finished, number
    """)


def test_signal_handler_may_stop_at_any_moment_of_a_stop():
    run("""
        messenger.run()
        more = at_moment(number, messenger.stop, messenger.stop)
        assert not bus.statistics().readers, number
    """)


def test_signal_handler_may_stop_at_any_moment_of_run():
    run("""
        handles = []
        try:
            more = at_moment(number, messenger.stop, lambda: handles.append(messenger.run()))
        except Exception as error:
            assert str(error) == "the messenger was stopped while it started", (number, error)
        for one in handles:
            one.stop()
        assert not bus.statistics().readers, number
    """)
