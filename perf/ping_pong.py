"""A round trip between handlers in two threads, beside two `queue.SimpleQueue`."""

from __future__ import annotations

import queue
import threading
import time

import pyperf

from nanobus import CircularBus, Handler, Messenger, Record, Worker, message, on, u64


@message(id=1)
class Ping(Record):
    number: u64


@message(id=2)
class Pong(Record):
    number: u64


class Left(Handler, id=1):
    def on_start(self) -> None:
        self.ping = Ping()
        self.config["started"] = time.perf_counter()
        self.send(self.ping)

    @on(Pong)
    def pong(self, pong: Pong) -> None:
        number = pong.number + 1
        if number < self.config["count"]:
            self.ping.number = number
            self.send(self.ping)
        else:
            self.config["ended"] = time.perf_counter()
            self.stop()


class Right(Handler, id=2):
    def on_start(self) -> None:
        self.answer = Pong()

    @on(Ping)
    def ping(self, ping: Ping) -> None:
        self.answer.number = ping.number
        self.send(self.answer)


def over_a_bus(count: int, wait: str) -> float:
    config = {"count": count, "started": 0.0, "ended": 0.0}
    workers = [Worker("left", [Left], {(Right, Pong): [Left]}), Worker("right", [Right], {(Left, Ping): [Right]})]
    with CircularBus(1 << 16, wait=wait) as bus, Messenger(bus, workers, config).run() as handles:
        handles.join()
    return config["ended"] - config["started"]


def over_queues(count: int) -> float:
    there: queue.SimpleQueue[int] = queue.SimpleQueue()
    back: queue.SimpleQueue[int] = queue.SimpleQueue()

    def answer() -> None:
        for _ in range(count):
            back.put(there.get())

    thread = threading.Thread(target=answer)
    thread.start()
    started = time.perf_counter()
    for number in range(count):
        there.put(number)
        back.get()
    ended = time.perf_counter()
    thread.join()
    return ended - started


if __name__ == "__main__":
    runner = pyperf.Runner()
    runner.metadata["description"] = "a round trip between two threads"
    runner.bench_time_func("two SimpleQueue", over_queues)
    runner.bench_time_func("handlers, spinning", over_a_bus, "spin")
    runner.bench_time_func("handlers, blocking", over_a_bus, "block")
