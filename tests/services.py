"""The messages and handlers that several files of tests use."""

import threading
from dataclasses import dataclass
from importlib.util import find_spec

from nanobus import (
    CircularBus,
    Handler,
    Messenger,
    Record,
    Worker,
    f64,
    message,
    on,
    u64,
)

OUTSIDE = 500
# Of the plain dataclasses that tests send: the default, where there is a msgspec for this Python.
CODEC = None if find_spec("msgspec") else "pickle"


@message(id=1101, codec=CODEC)
@dataclass
class Number:
    value: int


@message(id=1102, codec=CODEC)
@dataclass
class Answer:
    value: int


@message(id=1103)
class Reading(Record):
    value: f64
    number: u64


def run(*workers, bus=None, seconds=30, send=(), wait_for=None):
    """Run until a handler stops the messenger, sending `send` from outside; return what the handlers have noted."""
    bus = bus or CircularBus(1 << 16)
    config = {"seen": [], "lock": threading.Lock()}
    with Messenger(bus, workers, config).run() as handles:
        sender = bus.sender(OUTSIDE)
        for one in send:
            sender.send(one)
        handles.join(seconds) if wait_for is None else wait_for.wait(seconds)
    return config["seen"]


class Keeper(Handler, id=10):
    """Keeps what arrives; stops at a negative number."""

    @on(Number)
    def number(self, number):
        self.config["seen"].append((type(self).__name__, number.value))
        if number.value < 0:
            self.stop()


class SecondKeeper(Keeper, id=11):
    pass


class Doubler(Handler, id=12):
    @on(Number)
    def number(self, number):
        self.send(Answer(2 * number.value))


class AnswerKeeper(Handler, id=13):
    @on(Answer)
    def answer(self, answer):
        self.config["seen"].append(answer.value)
        if answer.value < 0:
            self.stop()


class Noting(Handler, id=14):
    """Notes the values of numbers in itself."""

    def __init__(self, config):
        super().__init__(config)
        self.values = []

    @on(Number)
    def number(self, number):
        self.values.append(number.value)


def filled(count=10, **options):
    """A bus with numbers on it, their positions, and a messenger that would note them."""
    bus = CircularBus(1 << 16, **options)
    sender = bus.sender(OUTSIDE)
    positions = [sender.send(Number(number)) for number in range(count)]
    return bus, positions, Messenger(bus, [Worker("a", [Noting], {(OUTSIDE, Number): [Noting]})])
