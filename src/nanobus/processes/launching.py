"""A child process: a new interpreter, or a copy of this one."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from contextlib import suppress
from multiprocessing import spawn as multiprocessing_spawn
from typing import Protocol

BOOTSTRAP = "import sys; sys.path[:] = {path!r}; from nanobus.processes.child import main; main({descriptor})"
# A copy made while another thread is starting an interpreter would hold the pipe that this thread waits on.
one_at_a_time = threading.Lock()
HELD_BACK = {signal.SIGINT, signal.SIGTERM}         # until the child knows what to do with them


class Launched(Protocol):
    """What a parent needs of its child: as in subprocess.Popen, a negative code is a signal."""

    pid: int

    def wait(self) -> int: ...


class Forked:
    """A copy of this process, of its calling thread only."""

    def __init__(self, run: Callable[[], int]) -> None:
        with one_at_a_time:
            self.pid = os.fork()
        if self.pid == 0:
            end_with(run)

    def wait(self) -> int:
        try:
            return os.waitstatus_to_exitcode(os.waitpid(self.pid, 0)[1])
        except ChildProcessError:                   # somebody else has waited for it, or SIGCHLD is ignored
            return 0


def end_with(run: Callable[[], int]) -> None:
    """Run, and leave: what lies further down the stack, and what runs at exit, is the parent's."""
    code = 1
    try:
        code = run()
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            with suppress(Exception):               # closed, or None
                stream.flush()
        os._exit(code)


def spawn(name: str, path: Sequence[str], stream: socket.socket, descriptors: Sequence[int]) -> Launched:
    """Start a new interpreter that talks through `stream`."""
    command = multiprocessing_spawn.get_command_line()
    command = command[: command.index("-c")]        # the interpreter and its options
    code = BOOTSTRAP.format(path=list(path), descriptor=stream.fileno())
    with one_at_a_time:
        return subprocess.Popen(
            [*command, "-c", code, name], stdin=subprocess.DEVNULL, pass_fds=[stream.fileno(), *descriptors]
        )


def hold_back_signals() -> None:
    """Let this thread, and the children that it makes, get no SIGINT and SIGTERM; other threads do."""
    signal.pthread_sigmask(signal.SIG_BLOCK, HELD_BACK)


def let_signals_in() -> None:
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HELD_BACK)
