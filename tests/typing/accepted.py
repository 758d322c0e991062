"""A program that must pass `mypy --strict`."""

from __future__ import annotations

import dataclasses
import enum
import os
import sys
from datetime import UTC, datetime
from pathlib import Path
from random import Random
from types import SimpleNamespace
from typing import assert_type

from nanobus import (
    CircularBus,
    DivergenceError,
    Envelope,
    Gap,
    Handler,
    HandlerError,
    Messenger,
    Record,
    ReplayResult,
    Sender,
    Worker,
    every,
    message,
    on,
    upcast,
)
from nanobus.bus.base import Bus, BusReader, BusWriter
from nanobus.field_types import f64, u32


class Ids(enum.IntEnum):
    ORDER = 2
    FILL = 3


@message(id=1)
class Quote(Record):
    bid: f64
    ask: f64
    size: u32


@message(id=Ids.ORDER)
@dataclasses.dataclass
class Order:
    symbol: str
    quantity: int


@message(id=Ids.FILL, codec="pickle")
class Fill:
    def __init__(self, price: float) -> None:
        self.price = price


class PriceCodec:
    name = "price"

    def encode(self, message: Price, /) -> bytes:
        return str(message.value).encode()

    def decode(self, payload: bytes, /) -> Price:
        return Price(float(payload))


@message(id=4, codec=PriceCodec())
class Price:
    def __init__(self, value: float) -> None:
        self.value = value


@upcast(Order, from_fingerprint="0b10016f48bb29bd")
def order_of_old(old: SimpleNamespace) -> Order:
    return Order(old.symbol, old.amount)


class Feed(Handler, id=1):
    @every(0.5)
    def tick(self) -> None:
        self.send(Quote(bid=1.0, ask=2.0, size=3))
        with self.claim(Quote) as quote:
            assert_type(quote, Quote)
            quote.bid = 1.5


class Strategy(Handler, id=2):
    def __init__(self, config: dict[str, int]) -> None:
        super().__init__(config)
        self.limit = config["limit"]

    def on_start(self) -> None:
        self.send(Order("ACME", 1))

    @on(Quote)
    def quote(self, quote: Quote) -> None:
        assert_type(quote.bid, float)
        assert_type(quote.size, int)
        assert_type(self.random, Random)
        assert_type(self.now, int)
        self.send(Order("ACME", self.random.randrange(self.limit)))

    @on(Order, Fill)
    def order(self, order: Order | Fill) -> None:
        if isinstance(order, Fill) and order.price > 1.0:
            self.stop()

    def on_gap(self, gap: Gap) -> None:
        print(gap.resumed_at - gap.first_lost)


def forgive(error: HandlerError) -> bool:
    return error.position is not None and error.handler is Strategy


def run() -> None:
    bus = CircularBus(1 << 20, overflow="block", wait="spin", timestamps=True)
    assert_type(bus.capacity, int)
    assert_type(bus.path, str | None)
    workers = [
        Worker("fast", [Strategy], routes={(Feed, Quote): [Strategy], (7, Order): [Strategy]}, on_error=forgive),
        Worker("io", [Feed], on_error="skip", idle=0.01, outbox_limit=1 << 20),
    ]
    messenger = Messenger(bus, workers, config={"limit": 3})
    assert_type(Messenger(bus, workers, only=["io"]).part(("fast",)).part(None), Messenger)
    with messenger.run() as handles:
        with bus.sender(Feed) as sender:
            assert_type(sender, Sender)
            assert_type(sender.send(Order("ACME", 1), timeout=1.0), int)
            with sender.claim(Quote) as quote:
                assert_type(quote, Quote)
        assert_type(handles.statistics(), dict[str, dict[str, int]])
        handles.join(timeout=1)
    messenger.stop(drain=False, timeout=2.5)
    result = messenger.replay(bus)
    assert_type(result, ReplayResult)
    assert_type(result.messages, int)
    assert_type(result.first, int | None)
    try:
        messenger.replay(bus, "verify", only=[Strategy, "io"], start=0, until=datetime.now(UTC), speed=1.0)
    except DivergenceError as error:
        print(error.position, error.handler.__name__, error.expected, error.actual)
    Worker("resumed", [Feed], cursor="feed")
    Worker("shared", [Feed], shards=2, shard_by="symbol", process="fork")


def look(bus: Bus, path: Path) -> int:
    total = 0
    with bus.reader(start="newest", gate=False) as reader, CircularBus(4096, path) as other, other.writer() as writer:
        assert_type(reader, BusReader)
        assert_type(writer, BusWriter)
        position = writer.write(Feed, Ids.FILL, memoryview(b"bytes"), cause=None, timeout=None)
        bus.write(1, 2, bytearray(3), cause=position)
        assert_type(bus.read(position), Envelope | None)
        for envelope in reader:
            if isinstance(envelope, Gap):
                continue
            assert_type(envelope.payload, bytes)
            assert_type(envelope.cause, int | None)
            assert_type(envelope.decode(Order), Order)
            total += envelope.timestamp
        assert_type(reader.read(timeout=0), Envelope | Gap | None)
        assert_type(other.statistics().head, int)
    return total


if __name__ == "__main__":
    run()
    sys.exit(look(CircularBus(4096), Path(os.fspath("ring"))))
