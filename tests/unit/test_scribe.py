"""The thread that writes log records, whatever they do."""

import functools
import threading

import pytest

from nanobus.processes import scribe
from nanobus.processes.scribe import Scribe

SECONDS = 60


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_entry_that_raises_is_printed_and_the_others_are_written(capsys, error):
    written, done = [], threading.Event()
    one = Scribe("test", written.append)

    def fail():
        raise error("of a handler")

    for entry in (fail, lambda: written.append("next"), done.set):
        one.write(entry)
    assert done.wait(SECONDS)
    one.wait(SECONDS)
    one.write(lambda: written.append("later"))
    one.wait(SECONDS)
    assert written == ["next", "later"]
    assert "of a handler" in capsys.readouterr().err


def test_what_may_be_missed_is_counted_where_too_much_waits(monkeypatch):
    monkeypatch.setattr(scribe, "MOST", 2)
    begun, freed, written = threading.Event(), threading.Event(), []
    one = Scribe("test", lambda missed: written.append(f"{missed} missed"))

    def block():
        begun.set()
        assert freed.wait(SECONDS)

    one.write(block)
    assert begun.wait(SECONDS)
    for number in range(5):
        one.write(lambda number=number: written.append(number), may_be_missed=True)
    one.write(lambda: written.append("never missed"))
    freed.set()
    one.wait(SECONDS)
    assert written == [0, 1, "never missed", "3 missed"]


def test_what_was_missed_is_told_before_the_flood_ends(monkeypatch):
    now = [100.0]
    monkeypatch.setattr(scribe, "MOST", 3)
    monkeypatch.setattr(scribe, "monotonic", lambda: now[0])
    begun, freed, written = threading.Event(), threading.Event(), []
    one = Scribe("test", lambda missed: written.append(f"{missed} missed"))

    def note(entry, seconds):
        written.append(entry)
        now[0] += seconds

    def block():
        begun.set()
        assert freed.wait(SECONDS)

    one.write(block)
    assert begun.wait(SECONDS)
    for entry, seconds in (("a", 0.5), ("b", 0.5), ("c", 1.5), ("d", 0), ("e", 0)):
        one.write(functools.partial(note, entry, seconds), may_be_missed=True)
    freed.set()
    one.wait(SECONDS)
    assert written == ["a", "b", "2 missed", "c"]


def test_entry_without_a_thread_is_written_by_who_waits(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    now, written = [100.0], []
    one = Scribe("test", written.append)

    def note():
        written.append("at last")
        now[0] += SECONDS

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        one.write(note)
        one.write(note)
    assert written == []
    with monkeypatch.context() as patch:
        patch.setattr(scribe, "monotonic", lambda: now[0])
        one.wait(SECONDS)
        assert written == ["at last"]                   # no longer than that
        one.wait(SECONDS)
    assert written == ["at last"] * 2
