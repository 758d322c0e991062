"""Deliver messages to empty handlers, in Python, in batches and in C, beside the bare call of a method from C."""

from __future__ import annotations

import time
from typing import Any

import msgspec
import native as compiled
import pyperf

from nanobus import CircularBus, Handler, Record, Worker, f64, message, native, on, u64
from nanobus.dispatch.outlet import Outlet
from nanobus.dispatch.worker_loop import WorkerLoop, bind
from nanobus.routing import freeze

SOURCE = 1
BATCH = 4096


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


class Empty(Handler, id=2):
    @on(Quote, Tick, bytes)
    def receive(self, one: Any) -> None:
        pass


class Reading(Handler, id=3):
    @on(Quote)
    def receive(self, quote: Quote) -> None:
        quote.bid  # noqa: B018  the access is what is measured


class Batching(Handler, id=4):
    @on(Quote, batch=True)
    def receive(self, quotes: Any, positions: Any) -> None:
        pass


class Native(Handler, id=5):
    receive = on(Quote)(native(compiled.load("calls").EMPTY))


message(bytes, id=3)
QUOTE = Quote(number=1, bid=1.0, ask=2.0, size=3.0)


def bare_call(count: int) -> float:
    calls = compiled.load("calls")
    handler = Empty()
    started = time.perf_counter()
    calls.call(handler.receive, QUOTE, count)
    return time.perf_counter() - started


def dispatch(count: int, one: object, handler_class: type[Handler] = Empty) -> float:
    """Time of `count` deliveries; the bus is filled between the batches, which is not counted."""
    with CircularBus(1 << 20) as bus:
        handler = handler_class()
        outlet = Outlet(bus.writer(), 1 << 16, lambda: None)
        bind(handler, handler_class.source_id, outlet)
        worker = Worker("w", [handler_class], {(SOURCE, type(one)): [handler_class]})
        router = freeze(worker, [handler])
        reader = bus.reader("newest")
        send = bus.sender(SOURCE).send
        total = 0.0
        left = count
        while left:
            batch = min(left, BATCH)
            for _ in range(batch):
                send(one)
            loop = WorkerLoop(reader, outlet, router, [], [], 0.001, lambda *_: False, lambda _: None)
            loop.stop(bus.head)
            started = time.perf_counter()
            loop.run()
            total += time.perf_counter() - started
            left -= batch
        return total


if __name__ == "__main__":
    runner = pyperf.Runner()
    runner.metadata["description"] = "one message to an empty handler"
    runner.bench_time_func("bare call from C", bare_call)
    runner.bench_time_func("Record", dispatch, QUOTE)
    runner.bench_time_func("Record, one field read", dispatch, QUOTE, Reading)
    runner.bench_time_func("Record, native handler", dispatch, QUOTE, Native)
    runner.bench_time_func("Record, in batches", dispatch, QUOTE, Batching)
    runner.bench_time_func("msgspec.Struct", dispatch, Tick(1, 1.0, 2.0))
    runner.bench_time_func("raw bytes", dispatch, b"x" * 32)
