"""nanobus as it is meant: a handler in a process of its own answers; who asks is another one, or this program."""

from __future__ import annotations

import os
import struct
import tempfile
import time
from functools import partial

from nanobus import CircularBus, Handler, Messenger, Record, Worker, message, on, u64
from peers.peer import Ends, Peer

PROGRAM = 100                               # source id of this program
QUESTION = 1


@message(id=QUESTION)
class Question(Record):
    number: u64
    second: u64
    third: u64
    fourth: u64


@message(id=2)
class Answer(Record):
    number: u64
    second: u64
    third: u64
    fourth: u64


@message(id=3)
class Go(Record):
    count: u64


@message(id=4)
class Ready(Record):
    process: u64


class Answering(Handler, id=1):
    def on_start(self) -> None:
        self.answer = Answer()
        self.send(Ready(process=os.getpid()))

    @on(Question)
    def question(self, question: Question) -> None:
        self.answer.number = question.number
        self.send(self.answer)


class Asking(Handler, id=2):
    """Asks as often as it is told, one after the other; says into the file that the config names how long it took."""

    def on_start(self) -> None:
        self.question = Question()
        self.left = 0

    @on(Go)
    def go(self, go: Go) -> None:
        self.left = go.count
        self.started = time.perf_counter()
        self.send(self.question)

    @on(Answer)
    def answer(self, answer: Answer) -> None:
        if self.left > 1:
            self.left -= 1
            self.question.number = answer.number + 1
            self.send(self.question)
        elif self.left:
            self.left = 0
            seconds = time.perf_counter() - self.started
            with open(self.config, "wb") as told:
                told.write(struct.pack("d", seconds))


class AnsweringHandler(Peer):
    """Sends a Record, reads an Envelope."""

    name = "nanobus, a handler answers"
    module = "nanobus"

    def start(self) -> None:
        bus = CircularBus(1 << 16, wait=self.wait)
        following = bus.reader("newest").__next__
        handles = Messenger(bus, [answering_worker(PROGRAM)]).run()

        def receive() -> bytes:
            while (envelope := following()).source == PROGRAM:
                pass
            return envelope.payload

        def close() -> None:
            handles.stop()
            bus.close()

        self.ends = Ends(partial(bus.writer().write, PROGRAM, QUESTION), receive, close)
        self.answering_pid = int.from_bytes(self.ends.receive()[:8], "little")

    def stop(self) -> None:
        self.ends.close()


class Handlers(Peer):
    """Both in processes of their own; this program says how often and sleeps meanwhile, it has no ends."""

    name = "nanobus, handlers"
    module = "nanobus"

    def start(self) -> None:
        self.told = os.path.join(tempfile.mkdtemp(prefix="peers-"), "seconds")
        os.mkfifo(self.told)
        asking = Worker("asking", [Asking], {(PROGRAM, Go): [Asking], (Answering, Answer): [Asking]}, process=True)
        self.bus = CircularBus(1 << 16, wait=self.wait)
        self.go = self.bus.sender(PROGRAM).send
        self.handles = Messenger(self.bus, [asking, answering_worker(Asking)], self.told).run()

    def stop(self) -> None:
        self.handles.stop()
        self.bus.close()
        os.unlink(self.told)
        os.rmdir(os.path.dirname(self.told))

    def round_trips(self, count: int) -> float:
        self.go(Go(count=count))
        with open(self.told, "rb") as told:
            return float(*struct.unpack("d", told.read()))


def answering_worker(asker: type[Handler] | int) -> Worker:
    return Worker("answering", [Answering], {(asker, Question): [Answering]}, process=True)
