"""Messages that are on the disk before their write returns: by one thread and by eight, beside SQLite."""

from __future__ import annotations

import shutil
import sqlite3
import tempfile
import threading
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from nanobus import JournalBus

from suite.case import Case, measure

PAYLOAD = b"x" * 32


def in_threads(count: int, threads: int, make: Callable[[], Callable[[], object]]) -> float:
    """Time of `count` calls, shared among threads; each makes its own function to call."""
    ready, go = threading.Barrier(threads + 1), threading.Event()

    def work(calls: int) -> None:
        once = make()
        ready.wait()
        go.wait()
        for _ in range(calls):
            once()

    workers = [threading.Thread(target=work, args=((count + one) // threads,)) for one in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    started = time.perf_counter()
    go.set()
    for worker in workers:
        worker.join()
    return time.perf_counter() - started


def journal(threads: int, count: int) -> float:
    folder = tempfile.mkdtemp()
    try:
        with JournalBus(Path(folder) / "journal", sync="commit") as bus:

            def make() -> Callable[[], object]:
                writer = bus.writer()
                return lambda: writer.write(1, 1, PAYLOAD)

            return in_threads(count, threads, make)
    finally:
        shutil.rmtree(folder)


def sqlite(threads: int, count: int) -> float:
    folder = tempfile.mkdtemp()
    try:
        path = Path(folder) / "rows"

        def connect() -> sqlite3.Connection:
            connection = sqlite3.connect(path, timeout=60, isolation_level=None, check_same_thread=False)
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("PRAGMA synchronous=FULL")
            return connection

        first = connect()
        first.execute("CREATE TABLE messages (source INTEGER, message INTEGER, time INTEGER, payload BLOB)")

        def make() -> Callable[[], object]:
            connection = connect()
            return lambda: connection.execute("INSERT INTO messages VALUES (1, 1, ?, ?)", (time.time_ns(), PAYLOAD))

        return in_threads(count, threads, make)
    finally:
        shutil.rmtree(folder)


def cases() -> list[Case]:
    found = []
    for threads in (1, 8):
        name = f"on the disk by a journal, {threads} writers"
        found.append(Case(name, partial(journal, threads), threads == 1))
        rival = f"by SQLite (WAL, synchronous=FULL), {threads} writers"
        found.append(Case(rival, partial(sqlite, threads), False, name))
    return found


CASES = cases()

if __name__ == "__main__":
    measure("32 bytes that are on the disk when their write returns", CASES)
