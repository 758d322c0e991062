"""Read a recorded journal again: scanned in C, run through its handlers, and compared with what they sent."""

from __future__ import annotations

import shutil
import tempfile
import time
from pathlib import Path

import native
import pyperf

from nanobus import Handler, JournalBus, Messenger, Record, Worker, message, on, u64

MESSAGES = 50_000  # in one journal; each has an answer
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


def messenger_on(bus: JournalBus) -> Messenger:
    return Messenger(bus, [Worker("answering", [Answering], {(SOURCE, Question): [Answering]})])


def record(folder: Path) -> None:
    with JournalBus(folder) as bus, messenger_on(bus).run():
        sender = bus.sender(SOURCE)
        for number in range(MESSAGES):
            sender.send(Question(number))


def scan(bus: JournalBus) -> float:
    loops = native.load("loops")
    with bus.reader("oldest") as reader:
        started = time.perf_counter()
        seen, _ = loops.scan(reader)
        assert seen == 2 * MESSAGES
        return (time.perf_counter() - started) / seen


def replay(bus: JournalBus, mode: str) -> float:
    result = messenger_on(bus).replay(bus, mode)  # type: ignore[arg-type]
    assert result.handled == MESSAGES
    return result.seconds / result.messages


def repeated(count: int, name: str) -> float:
    """Time of `count` messages, from as many whole passes as a runner's patience allows."""
    folder = Path(tempfile.mkdtemp())
    try:
        record(folder / "journal")
        with JournalBus(folder / "journal") as bus:
            passes = max(1, min(20, count // (2 * MESSAGES)))
            once = [scan(bus) if name == "scan" else replay(bus, name) for _ in range(passes)]
            return sum(once) / passes * count
    finally:
        shutil.rmtree(folder)


if __name__ == "__main__":
    native.load("loops")
    runner = pyperf.Runner(processes=5, values=3)
    runner.metadata["description"] = "a recorded message, read again"
    for name in ("scan", "rebuild", "verify"):
        runner.bench_time_func(name, repeated, name)
