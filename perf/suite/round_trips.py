"""A round trip between two handlers on one bus, each in a worker of its own."""

from __future__ import annotations

from typing import Any

from nanobus import Handler, Worker, on

from suite.handlers import OUTSIDE, Go, Post, Stage
from suite.messages import EVERY, message_of


class Asking(Post, id=1):
    """Asks as often as it is told, each time when the answer to the last one is there."""

    def on_start(self) -> None:
        super().on_start()
        self.question = message_of(self.plan.codec, self.plan.size)

    @on(Go)
    def go(self, go: Go) -> None:
        self.left = go.count
        self.tell()
        self.send(self.question)

    @on(*EVERY)
    def answer(self, answer: Any) -> None:
        self.left -= 1
        if self.left:
            self.send(self.question)
        else:
            self.tell()


class Answering(Post, id=2):
    @on(*EVERY)
    def question(self, question: Any) -> None:
        self.send(question)


def asking_stage(codec: str, size: int, processes: bool, journal: bool, wait: str) -> Stage:
    kind = type(message_of(codec, size))
    tables: list[tuple[type[Handler], dict[Any, Any]]] = [
        (Asking, {(OUTSIDE, Go): [Asking], (Answering, kind): [Asking]}),
        (Answering, {(Asking, kind): [Answering]}),
    ]
    workers = [Worker(one.__name__, [one], routes, process=processes) for one, routes in tables]
    return Stage(workers, 2, codec, size, journal=journal, wait=wait)
