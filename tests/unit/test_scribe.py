"""The thread that writes log records, whatever they do."""

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


def test_entry_without_a_thread_is_written_by_who_waits(monkeypatch):
    def refuse(self):
        raise RuntimeError("can't start new thread")

    written = []
    one = Scribe("test", written.append)
    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        one.write(lambda: written.append("at last"))
    assert written == []
    one.wait(SECONDS)
    assert written == ["at last"]
