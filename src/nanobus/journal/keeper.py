"""The thread that keeps house for a journal: syncs now and then, makes the next segment ready, lets old ones go."""

from __future__ import annotations

import logging
import threading
import weakref
from typing import Protocol

LOG = logging.getLogger("nanobus.journal")


class Kept(Protocol):
    def keep_house(self) -> None: ...


class Keeper:
    """Calls `keep_house` of a journal every `interval` seconds until `stop`, or until nobody has the journal any more.

    An error is logged once until a call succeeds again: the journal's own calls raise it where it matters.
    """

    def __init__(self, journal: Kept, interval: float) -> None:
        stopped = threading.Event()
        self._journal = weakref.ref(journal, lambda _: stopped.set())
        self._interval = interval
        self._stopped = stopped
        self._thread = threading.Thread(target=self._run, name="nanobus-journal", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self._stopped.set()
        if self._thread is not threading.current_thread():
            self._thread.join()

    def _run(self) -> None:
        failed = False
        while not self._stopped.wait(self._interval):
            journal = self._journal()
            if journal is None:
                return
            try:
                journal.keep_house()
                failed = False
            except Exception:
                if not failed:
                    LOG.exception("the journal cannot be kept in order")
                failed = True
            del journal
