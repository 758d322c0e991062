"""Read a recorded journal again: scanned in C, run through its handlers, and compared with what they sent."""

from __future__ import annotations

import shutil
import tempfile
import time
from functools import partial
from pathlib import Path

from nanobus import Handler, JournalBus, Messenger, Record, Worker, message, on, u64

import native
from suite.case import Case, Rig, measure, once

MESSAGES = 20_000                           # in one journal; each has an answer
SOURCE = 9


@message(id=1)
class Question(Record):
    number: u64


@message(id=2)
class Answer(Record):
    number: u64


class Answering(Handler, id=1):
    @on(Question)
    def question(self, question: Question) -> None:
        self.send(Answer(question.number))


class Recorded(Rig):
    """A journal of questions and answers.

    Parameters
    ----------
    mode : "scan", "rebuild" or "verify"
        How each run reads it.
    """

    def __init__(self, mode: str) -> None:
        self.mode = mode
        self.folder = Path(tempfile.mkdtemp(prefix="perf-"))
        self.bus = JournalBus(self.folder / "journal")
        with self.messenger().run(), self.bus.sender(SOURCE) as sender:
            for number in range(MESSAGES):
                sender.send(Question(number))

    def messenger(self) -> Messenger:
        return Messenger(self.bus, [Worker("answering", [Answering], {(SOURCE, Question): [Answering]})])

    def run(self, count: int) -> float:
        """Return the time of `count` messages, from as many whole passes as that takes."""
        passes = -(-count // (2 * MESSAGES))
        return sum(self.scan() if self.mode == "scan" else self.replay() for _ in range(passes)) / passes * count

    def scan(self) -> float:
        scan = native.load("streams").scan
        with self.bus.reader("oldest") as reader:
            started = time.perf_counter()
            seen, _ = scan(reader)
            assert seen == 2 * MESSAGES
            return (time.perf_counter() - started) / seen

    def replay(self) -> float:
        result = self.messenger().replay(self.bus, self.mode)  # type: ignore[arg-type]
        assert result.handled == MESSAGES
        return result.seconds / result.messages

    def stop(self) -> None:
        self.bus.close()
        shutil.rmtree(self.folder)


SCANNED = "a recorded message, scanned in C"
CASES = [
    Case(SCANNED, once(partial(Recorded, "scan")), True),
    Case("a recorded message, rebuilt", once(partial(Recorded, "rebuild")), True, SCANNED),
    Case("a recorded message, verified", once(partial(Recorded, "verify")), False, SCANNED),
]

if __name__ == "__main__":
    measure("A recorded message, read again", CASES)
