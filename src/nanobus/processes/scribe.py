"""Logging beside who must not wait for it."""

from __future__ import annotations

import functools
import math
import sys
import threading
import traceback
from collections import deque
from collections.abc import Callable
from contextlib import suppress
from time import monotonic

MOST = 10_000                               # entries that wait, where they may be missed
MISSED_SECONDS = 1.0                        # until it is told that some were, although more wait


class Scribe:
    """Writes one entry after the other in a thread of its own: the program's filters and handlers may take their time.

    The thread ends whenever everything is written, so that the interpreter, which waits for it, loses nothing.
    Thread-safe.
    """

    def __init__(self, name: str, told: Callable[[int], object]) -> None:
        self._name = name
        self._told = told
        self._lock = threading.Lock()       # never held while something is written
        self._entries: deque[Callable[[], object]] = deque()
        self._thread: threading.Thread | None = None
        self._missed = 0
        self._missed_since = 0.0            # monotonic, where some were

    def write(self, entry: Callable[[], object], may_be_missed: bool = False) -> None:
        """Call `entry` soon; what it raises is printed.

        One that may be missed is not called where MOST entries wait already; behind them `told` is, with the number of
        those that were missed. Where they do not end, it is in between, about once in MISSED_SECONDS.
        """
        with self._lock:
            if may_be_missed and len(self._entries) >= MOST:
                if not self._missed:
                    self._missed_since = monotonic()
                self._missed += 1
                return
            self._entries.append(entry)
            if self._thread is None:
                thread = threading.Thread(target=self._write, name=self._name, daemon=False)
                with suppress(RuntimeError):            # no more threads: the next entry tries again
                    thread.start()
                    self._thread = thread

    def wait(self, seconds: float) -> None:
        """Wait until everything is written, but no longer than an entry takes that is begun."""
        with self._lock:
            thread = self._thread
            if thread is None and self._entries:        # there was no thread to be had: better late than never
                self._thread = threading.current_thread()
        if thread is not None:
            thread.join(seconds)
        elif self._thread is threading.current_thread():
            self._write(monotonic() + seconds)
            if left := len(self._entries) + self._missed:
                print(f"{left} log records of {self._name} were not written: there was no thread", file=sys.stderr)

    def _write(self, until: float = math.inf) -> None:
        while (entry := self._next(until)) is not None:
            try:
                entry()
            except BaseException:                       # of a handler, or of what travelled: the others are to come
                with suppress(Exception):
                    traceback.print_exc()

    def _next(self, until: float) -> Callable[[], object] | None:
        with self._lock:
            now = monotonic()
            if now < until:
                if self._missed and (not self._entries or now >= self._missed_since + MISSED_SECONDS):
                    missed, self._missed = self._missed, 0
                    return functools.partial(self._told, missed)
                if self._entries:
                    return self._entries.popleft()
            self._thread = None
            return None
