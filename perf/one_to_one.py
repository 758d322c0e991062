"""A stream from a handler in one thread to a handler in another, beside `queue.SimpleQueue` between two threads."""

from __future__ import annotations

import queue
import threading
import time

import pyperf

from nanobus import CircularBus, Handler, Messenger, Record, Worker, message, on, u64


@message(id=1)
class Number(Record):
    value: u64


class Source(Handler, id=1):
    def on_start(self) -> None:
        one = Number()
        for value in range(self.config["count"]):
            one.value = value
            self.send(one)


class Sink(Handler, id=2):
    @on(Number)
    def number(self, number: Number) -> None:
        if number.value == self.config["count"] - 1:
            self.config["ended"] = time.perf_counter()
            self.stop()


def over_a_bus(count: int) -> float:
    config = {"count": count, "ended": 0.0}
    workers = [Worker("source", [Source], outbox_limit=1 << 34), Worker("sink", [Sink], {(Source, Number): [Sink]})]
    with CircularBus(1 << 22) as bus:
        messenger = Messenger(bus, workers, config)
        started = time.perf_counter()
        with messenger.run() as handles:
            handles.join()
        return config["ended"] - started


def over_a_queue(count: int) -> float:
    numbers: queue.SimpleQueue[int] = queue.SimpleQueue()

    def produce() -> None:
        for value in range(count):
            numbers.put(value)

    thread = threading.Thread(target=produce)
    started = time.perf_counter()
    thread.start()
    while numbers.get() != count - 1:
        pass
    ended = time.perf_counter()
    thread.join()
    return ended - started


if __name__ == "__main__":
    runner = pyperf.Runner()
    runner.metadata["description"] = "one message from thread to thread, streaming"
    runner.bench_time_func("SimpleQueue", over_a_queue)
    runner.bench_time_func("handlers, Record", over_a_bus)
