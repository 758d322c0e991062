"""A worker's process: the worker in its main thread, beside it a thread that listens to the parent.

One more sees the parent end, also while a handler holds the GIL.
"""

from __future__ import annotations

import atexit
import os
import pickle
import select
import signal
import socket
import sys
import threading
import traceback
from collections.abc import Callable, Sequence
from multiprocessing import process, spawn
from typing import Any

from nanobus.bus.sharing import SharedBus
from nanobus.errors import HandlerError
from nanobus.journaling import describe
from nanobus.processes.alarm import Alarm
from nanobus.processes.channel import Channel
from nanobus.processes.launching import let_signals_in, open_process
from nanobus.processes.orphans import end_with_parent
from nanobus.processes.placement import opened
from nanobus.processes.reports import failed, log_to, refused
from nanobus.processes.words import (
    Assignment,
    Begin,
    Built,
    Count,
    Counted,
    Done,
    NobodyReads,
    ReadLast,
    StopAt,
    StopWanted,
)
from nanobus.routing import Worker
from nanobus.running import Completion, RunningWorker
from nanobus.schema import Schema

ORPHANED = 1                                # exit code of a child whose parent is gone
FAILED = 1                                  # of one whose worker failed


class Child:
    """The crew of the one worker here: what it says to the others goes to the parent.

    `run` belongs to the main thread; a second one does what the parent and signals ask for.
    """

    def __init__(self, channel: Channel, assignment: Assignment, words: Sequence[object] = ()) -> None:
        self.schema: Schema | None = None   # of the journal the worker runs on
        self._channel = channel
        self._assignment = assignment
        self._words = words                 # that came with it
        self._begin = Completion()
        self._starts = False
        self._nobody_reads = False
        self._failed = False
        self._worker: Worker | None = None
        self._running: RunningWorker | None = None
        self._bus: SharedBus | None = None
        self._alarm = Alarm()
        self._terminations = 0
        self._has_read_last = False

    def run(self, open_parts: Callable[[Assignment], tuple[Worker, Any]]) -> int:
        """Be the worker until it stops; return the exit code."""
        threading.Thread(target=self._listen, name="nanobus-channel", daemon=True).start()
        parent = self._assignment.parent
        signs = (os.dup(self._channel.fileno()), open_process(parent), parent, ORPHANED)
        threading.Thread(target=end_with_parent, args=signs, name="nanobus-orphan", daemon=True).start()
        try:
            running = self._become(*open_parts(self._assignment))
            running.run()
            counters = running.statistics()
            assert self._bus is not None
            self._bus.close()
        except BaseException as error:
            self._channel.deliver_surely(refused(error, self._assignment.name))
            return FAILED
        self._channel.deliver_surely(Done(counters))
        return FAILED if self._failed else 0

    def _become(self, worker: Worker, config: Any) -> RunningWorker:
        log_to(self._channel, self._assignment.log_levels)
        self._take_signals()
        function, arguments = pickle.loads(self._assignment.bus)
        self._worker = worker
        self._bus = bus = function(*arguments)
        for descriptor in self._assignment.descriptors:
            os.close(descriptor)                        # the bus has copies, which no program inherits
        self.schema = describe(bus, [worker])
        ticket = self._assignment.ticket
        reader = None if ticket is None else bus.adopt(ticket)
        self._running = running = RunningWorker(self, worker, bus, config, reader)
        return running

    def _take_signals(self) -> None:
        """From here on SIGTERM asks for a stop. SIGINT, which the whole group of a terminal gets, is for the parent."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, lambda *_: None)      # not SIG_IGN, which programs that handlers run would inherit
        signal.set_wakeup_fd(self._alarm.bell.fileno(), warn_on_full_buffer=False)
        let_signals_in()

    # ---- what the worker says to its crew

    def meet(self) -> bool:
        self._channel.deliver(Built())
        self._begin.wait(None)
        return self._starts

    def call_off(self) -> None:
        self._begin.set()

    def fail(self, error: HandlerError) -> None:
        assert self._worker is not None
        self._failed = True
        self._channel.deliver_surely(failed(error, self._worker))

    def read_last(self) -> None:
        if not self._has_read_last:
            self._has_read_last = True
            self._channel.deliver(ReadLast())

    def nobody_reads(self) -> bool:
        return self._nobody_reads

    def request_stop(self, drain: bool = True) -> None:
        self._channel.deliver(StopWanted(drain))

    # ---- what the parent and the system say

    def _listen(self) -> None:
        """Hear until the parent ends the stream; a child that is deaf must not go on."""
        try:
            self._hear_everything()
        except BaseException:
            traceback.print_exc()
        finally:
            os._exit(ORPHANED)

    def _hear_everything(self) -> None:
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._alarm, select.POLLIN)
        for word in self._words:
            self._hear(word)
        while not self._channel.closed:
            ready = {descriptor for descriptor, _ in poll.poll()}
            if self._alarm.fileno() in ready:
                self._terminate(self._alarm.hush().count(signal.SIGTERM))
            if self._channel.fileno() in ready:
                for word in self._channel.receive():
                    self._hear(word)

    def _hear(self, word: object) -> None:
        match word:
            case Begin(starts):
                self._starts = starts
                self._begin.set()
            case StopAt(position):
                assert self._running is not None        # it comes after Begin
                self._running.request_stop(position)
            case NobodyReads():
                self._nobody_reads = True
            case Count(number):
                running = self._running
                self._channel.send(Counted(number, running.statistics() if running else {}))

    def _terminate(self, signals: int) -> None:
        """The first SIGTERM drains, here and everywhere; the second one does not wait for that.

        Where to stop is for the parent to say, which does so once there is a worker that can drain.
        """
        if signals:
            self._terminations += signals
            self._channel.send(StopWanted(self._terminations == 1))


def main(descriptor: int) -> None:
    """What a new interpreter runs."""
    stream = socket.socket(fileno=descriptor)
    stream.set_inheritable(False)
    channel = Channel(stream)
    atexit.register(channel.finish)         # the first to be registered is the last to be called
    words: list[Any] = []
    while not words:
        words = channel.receive()
        if channel.closed:
            sys.exit(ORPHANED)
    sys.exit(Child(channel, words[0], words[1:]).run(open_spawned))


def open_spawned(assignment: Assignment) -> tuple[Worker, Any]:
    this = process.current_process()
    this._inheriting = True  # type: ignore[attr-defined]  # from here on nothing that is imported may start processes
    try:
        spawn.prepare(assignment.main)
        return opened(assignment)
    finally:
        del this._inheriting  # type: ignore[attr-defined]


def run_forked(stream: socket.socket, assignment: Assignment, worker: Worker, config: Any) -> int:
    """What a copy of the parent runs."""
    channel = Channel(stream)
    try:
        return Child(channel, assignment).run(lambda _: (worker, config))
    finally:
        channel.finish()
