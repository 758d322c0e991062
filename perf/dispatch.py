"""Deliver messages to empty handlers: by codec, in batches, in C, and by the size of the routing table."""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Any

import msgspec
from nanobus import CircularBus, Handler, Record, Worker, f64, message, native, on, u64
from nanobus.bus.codec import find_codec
from nanobus.dispatch.outlet import Outlet
from nanobus.dispatch.service import bind
from nanobus.dispatch.worker_loop import WorkerLoop
from nanobus.routing import freeze

from native import load
from suite.case import Case, measure
from suite.messages import message_of
from suite.streams import BARE_CALL

SOURCE = 1
BATCH = 4096
MANY = 64                                   # handlers, with a source of its own each


@message(id=1)
class Quote(Record):
    number: u64
    bid: f64
    ask: f64
    size: f64


@message(id=2)
class Tick(msgspec.Struct, array_like=True):
    number: int
    bid: float
    ask: float


@message(id=4)
class Bid(Quote): ...


@message(id=5)
class Ask(Quote): ...


@message(id=6)
class Trade(Quote): ...


QUOTES = (Quote, Bid, Ask, Trade)
QUOTE = Quote(number=1, bid=1.0, ask=2.0, size=3.0)


class Empty(Handler, id=2):
    @on(Quote, Tick, bytes)
    def receive(self, one: Any) -> None:
        pass


class Reading(Handler, id=3):
    @on(Quote)
    def receive(self, quote: Quote) -> None:
        quote.bid  # noqa: B018  the access is what is measured


class Answering(Handler, id=4):
    def __init__(self, config: object) -> None:
        super().__init__(config)
        self.answer = Bid()

    @on(Quote)
    def receive(self, quote: Quote) -> None:
        self.send(self.answer)


class Packing(Handler, id=5):
    def __init__(self, config: object) -> None:
        super().__init__(config)
        self.answer = Tick(1, 1.0, 2.0)

    @on(Quote)
    def receive(self, quote: Quote) -> None:
        self.send(self.answer)


class Batching(Handler, id=6):
    @on(Quote, batch=True)
    def receive(self, quotes: Any, positions: Any) -> None:
        pass


class Hearing(Handler):
    @on(*QUOTES)
    def receive(self, quote: Quote) -> None:
        pass


HEARING = [type(f"Hearing{one}", (Hearing,), {}, id=100 + one) for one in range(MANY)]


def deliver(worker: Worker, fill: Callable[[CircularBus, int], object], count: int) -> float:
    """Return the time of `count` deliveries; `fill` puts a batch on the bus in between, which is not counted."""
    with CircularBus(1 << 20) as bus:
        outlet = Outlet(bus.writer(), 1 << 16, lambda: None)
        handlers = [kind(None) for kind in worker.handlers]
        for handler in handlers:
            bind(handler, handler.source_id, outlet)
        router = freeze(worker, handlers)
        reader = bus.reader("newest")
        total, left = 0.0, count
        while left:
            batch = min(left, BATCH)
            fill(bus, batch)
            loop = WorkerLoop(reader, outlet, router, [], [], 0.001, lambda *_: False, lambda _: None)
            loop.stop(bus.head)
            started = time.perf_counter()
            loop.run()
            total += time.perf_counter() - started
            left -= batch
        return total


def one_route(one: Any, kind: type[Handler], count: int) -> float:
    def fill(bus: CircularBus, batch: int) -> None:
        with bus.sender(SOURCE) as sender:
            for _ in range(batch):
                sender.send(one)

    return deliver(Worker("w", [kind], {(SOURCE, type(one)): [kind]}), fill, count)


def to_native(count: int) -> float:
    class Native(Handler, id=7):
        receive = on(Quote)(native(load("calls").EMPTY))

    return one_route(QUOTE, Native, count)


def many_routes(count: int) -> float:
    """Deliver over a table of 256 routes, each message by another one: 64 sources of 4 messages to 64 handlers."""
    table = {(1000 + one, kind): [HEARING[one]] for one in range(MANY) for kind in QUOTES}
    payload, ids = bytes(memoryview(QUOTE)), [find_codec(kind).message_id for kind in QUOTES]

    def fill(bus: CircularBus, batch: int) -> None:
        for number in range(batch):
            bus.write(1000 + number % MANY, ids[number // MANY % len(ids)], payload)

    return deliver(Worker("w", HEARING, table), fill, count)


def encode(count: int) -> float:
    encode, tick = msgspec.msgpack.Encoder().encode, Tick(1, 1.0, 2.0)
    started = time.perf_counter()
    for _ in range(count):
        encode(tick)
    return time.perf_counter() - started


ONE_ROUTE = "Record to a handler"
CASES = [
    Case(ONE_ROUTE, partial(one_route, QUOTE, Empty), True, BARE_CALL),
    Case("Record to a handler that reads a field", partial(one_route, QUOTE, Reading), True, BARE_CALL),
    Case("msgspec.Struct to a handler", partial(one_route, Tick(1, 1.0, 2.0), Empty), True, BARE_CALL),
    Case("raw bytes to a handler", partial(one_route, message_of("raw", 32), Empty), True, BARE_CALL),
    Case("Record to a native handler", to_native, True, BARE_CALL),
    Case("Record to a handler that takes batches", partial(one_route, QUOTE, Batching), True, BARE_CALL),
    Case("Record to a handler, over 256 routes to 64 handlers", many_routes, True, ONE_ROUTE),
    Case("Record to a handler that sends a Record", partial(one_route, QUOTE, Answering), True, ONE_ROUTE),
    Case("Record to a handler that sends a msgspec.Struct", partial(one_route, QUOTE, Packing), True, ONE_ROUTE),
    Case("msgspec's own encode of that", encode, True, BARE_CALL),
]

if __name__ == "__main__":
    measure("A message to an empty handler", CASES)
