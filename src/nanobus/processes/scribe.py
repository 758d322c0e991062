"""Logging beside who must not wait for it."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from contextlib import suppress


class Scribe:
    """Writes one entry after the other in a thread of its own: the program's filters and handlers may take their time.

    The thread ends whenever everything is written, so that the interpreter, which waits for it, loses nothing and does
    not wait for ever. Thread-safe.
    """

    def __init__(self, name: str) -> None:
        self._name = name
        self._lock = threading.Lock()       # never held while something is written
        self._entries: deque[Callable[[], object]] = deque()
        self._thread: threading.Thread | None = None

    def write(self, entry: Callable[[], object]) -> None:
        """Call `entry` soon, which raises nothing."""
        with self._lock:
            self._entries.append(entry)
            if self._thread is None:
                thread = threading.Thread(target=self._write, name=self._name, daemon=False)
                with suppress(RuntimeError):            # no more threads: the next entry tries again
                    thread.start()
                    self._thread = thread

    def wait(self, seconds: float) -> None:
        """Wait until everything is written, but no longer."""
        thread = self._thread
        if thread is not None:
            thread.join(seconds)

    def _write(self) -> None:
        while (entry := self._next()) is not None:
            entry()

    def _next(self) -> Callable[[], object] | None:
        with self._lock:
            if self._entries:
                return self._entries.popleft()
            self._thread = None
            return None
