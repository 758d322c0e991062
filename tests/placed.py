"""The messages and handlers of the tests of workers in processes: what the child can import."""

import logging
import os
import signal
import threading
import time
from dataclasses import dataclass

from nanobus import Handler, Record, every, f64, message, on
from services import CODEC

OUTSIDE = 500


@message(id=1201, codec=CODEC)
@dataclass
class Question:
    value: int


@message(id=1202, codec=CODEC)
@dataclass
class Reply:
    value: int
    process: int = 0


class Oracle(Handler, id=150):
    """Answers each question, and says from which process; what else it does, the question's value says."""

    @on(Question)
    def question(self, question):
        match question.value:
            case -1:
                raise ValueError("no answer to this")
            case -2:
                os.kill(os.getpid(), signal.SIGKILL)
            case -3:
                os._exit(7)
            case -4:
                raise UnpicklableError(lambda: None)
            case -5:
                logger = logging.getLogger("oracle")
                logger.warning("asked %d by %s", question.value, "somebody", extra={"does_not_travel": lambda: None})
                logging.getLogger("oracle").info("too quiet")
                logging.getLogger("oracle.loud").debug("loud enough")
            case -6:
                os.kill(os.getpid(), signal.SIGTERM)
            case -7:
                os.kill(os.getpid(), signal.SIGINT)
            case -8:
                time.sleep(3600)
            case -9:
                raise FrozenError(question.value)
            case -12:
                sum(range(10**13))                                              # lets nobody have the GIL
            case -10:
                threading.Thread(target=time.sleep, args=(3600,)).start()       # the interpreter will wait for it
            case -11:
                raise ValueError("x" * 10_000_000)
        self.send(Reply(question.value, os.getpid()))


class UnpicklableError(Exception):
    def __init__(self, function):
        super().__init__("it has a function", function)


class FrozenError(Exception):
    def __setattr__(self, name, value):
        raise AttributeError(f"{name} cannot be set")


class Listener(Handler, id=151):
    """Keeps the answers; stops the messenger once it has as many as the config wants."""

    @on(Reply)
    def reply(self, reply):
        self.config["seen"].append((reply.value, reply.process))
        if len(self.config["seen"]) == self.config.get("enough"):
            self.stop()


class Pinger(Handler, id=152):
    """Asks one question after the other, each once the last one was answered."""

    def on_start(self):
        self.send(Question(0))

    @on(Reply)
    def reply(self, reply):
        if reply.value == 200:
            self.stop()
        else:
            self.send(Question(reply.value + 1))


class Tireless(Handler, id=199):
    """A Pinger that never stops."""

    def on_start(self):
        self.send(Question(1))

    @on(Reply)
    def reply(self, reply):
        self.send(Question(1))


class Distant(Handler, id=153):
    """Notes what happens to it in a file: the only thing it shares with the test."""

    def __init__(self, config):
        super().__init__(config)
        self.note("made")

    def note(self, text):
        with open(self.config["notes"], "a") as file:
            file.write(f"{text}\n")

    def on_start(self):
        self.note("started")

    @on(Question)
    def question(self, question):
        time.sleep(self.config.get("seconds", 0))
        self.note(question.value)

    def on_stop(self):
        self.note("stopped")


class Reborn(Distant, id=159):
    """Dies at a question below 0, in its first life."""

    def lives(self):
        with open(self.config["notes"]) as file:
            return file.read().count("made")

    @on(Question)
    def question(self, question):
        if question.value < 0 and self.lives() == 1:
            os.kill(os.getpid(), signal.SIGKILL)
        self.note(question.value)


class Held(Distant, id=169):
    """Is not made as long as there is a certain file."""

    def __init__(self, config):
        while os.path.exists(config["stuck"]):
            time.sleep(0.005)
        super().__init__(config)


class Ticking(Handler, id=154):
    @every(0.001)
    def tick(self):
        self.send(Reply(1, os.getpid()))


class Stubborn(Handler, id=155):
    def __init__(self, config):
        raise OSError("will not be made")


class DiesAtBirth(Handler, id=156):
    def __init__(self, config):
        os._exit(3)


class Quitter(Handler, id=157):
    """Stops the messenger at the first answer."""

    @on(Reply)
    def reply(self, reply):
        self.stop()


class Claiming(Handler, id=158):
    """Dies with a claim open."""

    @on(Question)
    def question(self, question):
        with self.claim(Measure):
            os.kill(os.getpid(), signal.SIGKILL)


@message(id=1203)
class Measure(Record):
    value: f64


class OneLife:
    """A config that is read once, and then never again; `path` counts."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return read_once, (self.path,)


def read_once(path):
    path.touch(exist_ok=False)
    return {"notes": path.with_name("notes")}


def count_reading(path):
    with open(path, "a") as file:
        file.write("once\n")
