"""Accounts whose entries are booked by the shards of one worker: what several tests, and their processes, share."""

import os
import signal
from dataclasses import dataclass
from typing import Annotated

from nanobus import (
    Array,
    CircularBus,
    Handler,
    Messenger,
    Record,
    Worker,
    boolean,
    every,
    f64,
    i8,
    i16,
    i32,
    i64,
    message,
    on,
    u8,
    u16,
    u32,
    u64,
)
from services import CODEC

OUTSIDE = 500


@message(id=1301)
class Trade(Record):
    account: Annotated[bytes, 8]
    number: u64


@message(id=1302, codec=CODEC)
@dataclass
class Payment:
    account: str
    number: int


@message(id=1303, codec=CODEC)
@dataclass
class Booked:
    account: str
    number: int
    shard: int
    process: int = 0


def text_of(account):
    return account.decode() if isinstance(account, bytes) else str(account)


class Booker(Handler, id=160):
    """Says of each entry which shard has it; what else it does, the config says of the entry's number."""

    def __init__(self, config):
        super().__init__(config)
        self.entries = []

    @on(Trade)
    @on(Payment)
    def book(self, entry):
        match self.config.get("actions", {}).get(entry.number):
            case "fails":
                raise ValueError("not to be booked")
            case "dies":
                os.kill(os.getpid(), signal.SIGKILL)
            case "differs":
                self.send(Booked("nobody", entry.number, self.shard))
        self.entries.append(entry.number)
        process = os.getpid() if self.config.get("says process") else 0
        self.send(Booked(text_of(entry.account), entry.number, self.shard, process))


class Auditor(Handler, id=161):
    """Keeps what was booked; stops the messenger once it has as much as the config wants."""

    @on(Booked)
    def booked(self, booked):
        seen = self.config.get("seen")
        if seen is not None:
            seen.append(booked)
            if len(seen) == self.config.get("enough"):
                self.stop()


class Clock(Handler, id=162):
    """Answers its ticks."""

    def __init__(self, config):
        super().__init__(config)
        self.ticks = 0

    @every(0.002)
    def fast(self):
        self.ticks += 1
        self.send(Booked("fast", self.ticks, self.shard))

    @every(0.005)
    def slow(self):
        self.send(Booked("slow", self.ticks, self.shard))


def bookers(shards=2, shard_by="account", **options):
    routes = {(OUTSIDE, Trade): [Booker], (OUTSIDE, Payment): [Booker]}
    return Worker("booker", [Booker], routes, shards=shards, shard_by=shard_by, **options)


def auditor(audited=Booker):
    return Worker("auditor", [Auditor], {(audited, Booked): [Auditor]})


def entries(count, accounts=7):
    """Numbered entries of a few accounts: a Record each, and a struct, whose account is a text."""
    names = [f"A{number % accounts}" for number in range(count)]
    return [
        Trade(name.encode(), number) if number % 3 else Payment(name, number) for number, name in enumerate(names)
    ]


def book(bus, workers, sent, **config):
    """Run the workers until every entry is booked; return what was, in its order, and the handles."""
    config = {"seen": [], "enough": len(sent), **config}
    with Messenger(bus, workers, config).run() as handles:
        sender = bus.sender(OUTSIDE)
        for one in sent:
            sender.send(one)
        handles.join(60)
    return config["seen"], handles


@message(id=1401)
class Numbers(Record):
    a: u8
    b: i8
    c: u16
    d: i16
    e: u32
    f: i32
    g: u64
    h: i64
    i: boolean
    name: Annotated[bytes, 6]
    levels: Annotated[tuple[float, ...], Array(f64, 2)] = (0.0, 0.0)
    price: f64 = 0.0


@message(id=1421, codec="pickle")
class Untold:
    def __init__(self, account=None):
        if account is not None:
            self.account = account


def one_of(message_type, shard_by, shards=2):
    class One(Handler, id=171):
        @on(message_type)
        def one(self, message):
            pass

    return Worker("one", [One], {(OUTSIDE, message_type): [One]}, shards=shards, shard_by=shard_by)


def filled(sent):
    bus = CircularBus(1 << 22)
    sender = bus.sender(OUTSIDE)
    return bus, [sender.send(one) for one in sent]
