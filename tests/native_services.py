"""The messages and handlers that several files of tests about native handlers use."""

import struct

from nanobus import CircularBus, Handler, Messenger, Record, Worker, f64, i64, message, native, on

OUTSIDE = 500
SECONDS = 30
NO_CAUSE = 2**64 - 1


@message(id=1211)
class Question(Record):
    value: i64
    weight: f64


@message(id=1212)
class Answer(Record):
    value: i64


@message(id=1213)
class Raw(bytes):
    pass


@message(id=1214)
class End(Record):
    value: i64


class Ending(Handler, id=80):
    """Stops the messenger when everything before an End was handled by its worker."""

    @on(End)
    def end(self, end):
        self.stop()


class Listening(Handler, id=81):
    """Notes answers."""

    def __init__(self, config):
        super().__init__(config)
        self.values = config

    @on(Answer)
    def answer(self, answer):
        self.values.append(answer.value)


def run(receiver, *messages, sources=(), bus=None, journal=None, **options):
    """Run a worker with `receiver` until it has handled `messages`; return (handler, answers, positions)."""
    handlers, answers = [], []

    class Kept(receiver, id=82):
        def on_start(self):
            handlers.append(self)

    bus = bus or CircularBus(1 << 16)
    routes = {(OUTSIDE, kind): [Kept] for kind in dict.fromkeys([*receiver.receives])}
    workers = [
        Worker("native", [Kept, Ending], {**routes, (OUTSIDE, End): [Ending]}, **options),
        Worker("listening", [Listening], {(Kept, Answer): [Listening]}),
    ]
    with Messenger(bus, workers, answers).run() as handles:
        sender = bus.sender(OUTSIDE)
        positions = [sender.send(one) for one in messages]
        sender.send(End(0))
        handles.join(SECONDS)
        run.statistics = handles.statistics()
    return handlers[0], answers, positions


def fields(tally, cores):
    return dict(zip(cores.TALLY_FIELDS, struct.unpack("9Q", tally), strict=True))


def tallying(cores):
    """A base of handlers that note in `tally` what they were called with."""

    class Tallying(Handler):
        def __init__(self, config):
            super().__init__(config)
            self.tally = bytearray(8 * len(cores.TALLY_FIELDS))

        questions = on(Question)(native(cores.ADDRESSES["tally"], state="tally"))

    return Tallying


def answering(cores):
    """A base of handlers with C state that answer each question with its double."""

    class Answering(cores.AnsweringCore, Handler):
        questions = on(Question)(native(sends=[Answer]))

    return Answering


def multiplying(cores, count=1):
    """A base of handlers that answer each question so many times; a class attribute says how many."""

    class Multiplying(Handler):
        times = bytearray(struct.pack("q", count))
        questions = on(Question)(native(cores.ADDRESSES["answer"], state="times", sends=[Answer]))

    return Multiplying
