"""A child process: a new interpreter, or a copy of this one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
import warnings
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import spawn as multiprocessing_spawn
from typing import Protocol

BOOTSTRAP = "import sys; sys.path[:] = {path!r}; from nanobus.processes.child import main; main({descriptor})"
# Held while a child is made: a copy of this process made meanwhile would have what is for the other child alone, such
# as the pipe through which a new interpreter says that it could be started.
one_at_a_time = threading.Lock()
HELD_BACK = {signal.SIGINT, signal.SIGTERM}         # until the child knows what to do with them


class Launched(Protocol):
    """What a parent needs of its child: as in subprocess.Popen, a negative code is a signal."""

    pid: int

    def poll(self) -> int | None: ...               # None: it has not ended
    def wait(self) -> int: ...


class Forked:
    """A copy of this process, of its calling thread only, which holds `one_at_a_time`."""

    def __init__(self, run: Callable[[], int]) -> None:
        self._code: int | None = None
        flush_streams()                             # else both print what they hold
        # Who says "fork" has been told of the locks that other threads hold.
        warnings.filterwarnings("ignore", category=DeprecationWarning, module=__name__.replace(".", r"\."))
        self.pid = os.fork()
        if self.pid == 0:
            end_with(run)

    def poll(self) -> int | None:
        self._look(os.WNOHANG)
        return self._code

    def wait(self) -> int:
        self._look(0)
        assert self._code is not None
        return self._code

    def _look(self, options: int) -> None:
        if self._code is not None:
            return
        try:
            pid, status = os.waitpid(self.pid, options)
        except ChildProcessError:                   # somebody else has waited for it, or SIGCHLD is ignored
            self._code = 0
        else:
            if pid:
                self._code = os.waitstatus_to_exitcode(status)


def flush_streams() -> None:
    for stream in (sys.stdout, sys.stderr):
        with suppress(Exception):                   # closed, or None
            stream.flush()


def end_with(run: Callable[[], int]) -> None:
    """Run, and leave: what lies further down the stack, and what runs at exit, is the parent's."""
    code = 1
    try:
        code = run()
    except BaseException:
        traceback.print_exc()
    finally:
        flush_streams()
        os._exit(code)


def spawn(name: str, path: Sequence[str], stream: socket.socket, descriptors: Sequence[int]) -> Launched:
    """Start a new interpreter that talks through `stream`. The caller holds `one_at_a_time`."""
    command = multiprocessing_spawn.get_command_line()
    command = command[: command.index("-c")]        # the interpreter and its options
    code = BOOTSTRAP.format(path=list(path), descriptor=stream.fileno())
    return subprocess.Popen(
        [*command, "-c", code, name], stdin=subprocess.DEVNULL, pass_fds=[stream.fileno(), *descriptors]
    )


def open_process(process: int) -> int | None:
    """Return a descriptor that is readable once the process has ended; None where there is no such thing."""
    try:
        return os.pidfd_open(process)
    except (AttributeError, OSError):
        return None


def hold_back_signals() -> None:
    """Let this thread, and the children that it makes, get no SIGINT and SIGTERM; other threads do."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)


def let_signals_in() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)


def forget_others() -> None:
    """In a forked child: nobody else makes one here, whatever the thread that did is doing in the parent."""
    global one_at_a_time
    one_at_a_time = threading.Lock()


os.register_at_fork(after_in_child=forget_others)
