"""Two handlers that answer each other, two messages for one: the ring is always full, and nobody may wait."""

import time

from loads import load
from nanobus import CircularBus, Handler, Messenger, Worker, on
from services import Answer, Number


class Left(Handler, id=60):
    limit = load(1_000_000)

    def __init__(self, config):
        super().__init__(config)
        self.seen = 0

    def on_start(self):
        self.send(Number(0))

    @on(Answer)
    def answer(self, answer):
        self.seen += 1
        if self.seen + self.config["right"] < self.limit:
            self.send(Number(answer.value + 1))
            self.send(Number(answer.value + 1))
        self.config["left"] = self.seen


class Right(Handler, id=61):
    @on(Number)
    def number(self, number):
        self.config["right"] += 1
        if self.config["right"] + self.config["left"] < Left.limit:
            self.send(Answer(number.value + 1))
            self.send(Answer(number.value + 1))
        elif self.config["right"] + self.config["left"] == Left.limit:
            self.stop()


def test_a_million_answers_of_two_for_one_flow_through_a_ring_of_16_kib_without_a_deadlock():
    bus = CircularBus(16384)
    config = {"left": 0, "right": 0}
    workers = [
        Worker("left", [Left], {(Right, Answer): [Left]}),
        Worker("right", [Right], {(Left, Number): [Right]}),
    ]
    with Messenger(bus, workers, config).run() as handles:
        deadline = time.monotonic() + 240
        while config["left"] + config["right"] < Left.limit and not handles.finished:
            assert time.monotonic() < deadline
            time.sleep(0.01)
    assert config["left"] + config["right"] >= Left.limit
