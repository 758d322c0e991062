"""One process of a worker: launched, told what is new, listened to until it ends."""

from __future__ import annotations

import functools
import math
import os
import select
import signal
import time
from contextlib import suppress
from typing import Any

from nanobus.processes import child, launching
from nanobus.processes.alarm import Alarm
from nanobus.processes.channel import open_pair
from nanobus.processes.launching import Forked, Launched, open_process, spawn
from nanobus.processes.words import Assignment, Begin, Count, NobodyReads, StopAt
from nanobus.routing import Worker

NEWS_SECONDS = 0.01                         # between looks at what nobody tells: the other workers, a silent end
EXIT_SECONDS = 10.0                         # how long a process may take to end once it has said its last word


class Life:
    """One process of a worker. Every method is for one thread, that which has no signals in (launching.py)."""

    def __init__(self, assignment: Assignment, worker: Worker, config: Any, alarm: Alarm) -> None:
        self.is_built = False               # as far as it has said
        self.has_read_last = False
        self.has_finished = False           # it said why it would end
        self.was_killed = False             # here
        self.was_late = False               # and therefore killed
        self._alarm = alarm
        self._deadline = math.inf           # monotonic seconds
        self._built_until = math.inf        # likewise
        self._starts: bool | None = None    # what it was told
        self._nobody_reads = False
        self._stop_at: int | None = None
        self._asked = 0
        with launching.one_at_a_time:       # a copy made meanwhile would keep the child's end of the stream open
            self._channel, stream = open_pair()
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
        self._end: int | None = None
        try:
            self._end = open_process(self._process.pid)
            if worker.process != "fork":
                self._channel.send(assignment)
        except BaseException:
            self.kill()
            self.wait()
            raise

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
        if time.monotonic() >= self._limit():           # and all that was said by then is heard
            self.was_late = time.monotonic() < self._deadline
            self.kill()
        poll = select.poll()
        if not self._channel.closed:
            poll.register(self._channel, select.POLLIN)
        poll.register(self._alarm, select.POLLIN)
        if self._end is not None:
            poll.register(self._end, select.POLLIN)
        rest = self._seconds_to_rest()
        ready = {descriptor for descriptor, _ in poll.poll(None if rest == math.inf else max(rest, 0) * 1000)}
        self._alarm.hush()
        if self._end in ready:
            return self._channel.receive_rest(), True
        words = self._channel.receive() if self._channel.fileno() in ready else []
        if self._channel.closed:
            self.end_within(EXIT_SECONDS)   # it says no more, whatever it does
        return words, self._end is None and self._channel.closed and self._process.poll() is not None

    def _seconds_to_rest(self) -> float:
        waits = (self.is_built and self._starts is None) or (self.has_read_last and not self._nobody_reads)
        ends_silently = self._end is None and self._channel.closed
        left = self._limit() - time.monotonic()
        return min(left, NEWS_SECONDS) if waits or ends_silently else left

    def _limit(self) -> float:
        return self._deadline if self.is_built or self.was_killed else min(self._deadline, self._built_until)

    def build_until(self, deadline: float) -> None:
        """Kill the process if it is not built by then, in monotonic seconds."""
        self._built_until = deadline

    def end_within(self, seconds: float) -> None:
        """Kill the process if it goes on for longer; of several requests the earliest deadline counts."""
        if not self.was_killed:
            self._deadline = min(self._deadline, time.monotonic() + seconds)

    def kill(self) -> None:
        self._deadline = math.inf
        self.was_killed = True
        with suppress(OSError):             # it has ended
            if self._end is None:
                os.kill(self._process.pid, signal.SIGKILL)
            else:
                signal.pidfd_send_signal(self._end, signal.SIGKILL)

    def wait(self) -> int:
        """Return what the process exited with, or minus the number of the signal that ended it, once it has."""
        code = self._process.wait()
        self._channel.close()
        if self._end is not None:
            os.close(self._end)
        return code
