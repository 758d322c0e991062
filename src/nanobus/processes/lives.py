"""One process of a worker: launched, told what is new, listened to until it ends."""

from __future__ import annotations

import functools
import os
import select
from typing import Any

from nanobus.processes import child
from nanobus.processes.channel import Alarm, Assignment, Begin, Count, NobodyReads, StopAt, open_pair, open_process
from nanobus.processes.launching import Forked, Launched, spawn
from nanobus.routing import Worker

NEWS_MS = 10                                # between looks at what the other workers do, while the child waits for it


class Life:
    """One process of a worker. Every method is for one thread, that which has no signals in (launching.py)."""

    def __init__(self, assignment: Assignment, worker: Worker, config: Any, alarm: Alarm) -> None:
        self.is_built = False               # as far as it has said
        self.has_read_last = False
        self.has_finished = False           # it said why it would end
        self._alarm = alarm
        self._channel, stream = open_pair()
        self._starts: bool | None = None    # what it was told
        self._nobody_reads = False
        self._stop_at: int | None = None
        self._asked = 0
        try:
            if worker.process == "fork":
                run = functools.partial(child.run_forked, stream, assignment, worker, config)
                self._process: Launched = Forked(run)
            else:
                path = assignment.main["sys_path"]
                self._process = spawn(assignment.name, path, stream, assignment.descriptors)
        except BaseException:
            self._channel.close()
            raise
        finally:
            stream.close()
        self._end = open_process(self._process.pid)
        if worker.process != "fork":
            self._channel.send(assignment)

    def tell(self, starts: bool | None, stop_at: int | None, nobody_reads: bool, asked: int) -> None:
        """Say what the child does not know yet."""
        if asked != self._asked:
            self._asked = asked
            self._channel.send(Count(asked))
        if not self.is_built or starts is None:
            return                          # it could only wait
        if self._starts is None:
            self._starts = starts
            self._channel.send(Begin(starts))
        if stop_at is not None and stop_at != self._stop_at:
            self._stop_at = stop_at
            self._channel.send(StopAt(stop_at))
        if nobody_reads and self.has_read_last and not self._nobody_reads:
            self._nobody_reads = True
            self._channel.send(NobodyReads())

    def listen(self) -> tuple[list[Any], bool]:
        """Wait until there is something to hear or to tell; return what the child said, and whether it has ended."""
        poll = select.poll()
        poll.register(self._channel, select.POLLIN)
        poll.register(self._alarm, select.POLLIN)
        if self._end is not None:
            poll.register(self._end, select.POLLIN)
        waits = (self.is_built and self._starts is None) or (self.has_read_last and not self._nobody_reads)
        ready = {descriptor for descriptor, _ in poll.poll(NEWS_MS if waits else None)}
        self._alarm.hush()
        if self._end in ready:
            return self._channel.receive_rest(), True
        words = self._channel.receive() if self._channel.fileno() in ready else []
        return words, self._channel.closed

    def wait(self) -> int:
        """Return what the process exited with, or minus the number of the signal that ended it, once it has."""
        code = self._process.wait()
        self._channel.close()
        if self._end is not None:
            os.close(self._end)
        return code
