"""The work of a handler that keeps a processor busy: one process beside two shards, each message handled once."""

from __future__ import annotations

from functools import partial
from typing import Any

from nanobus import CircularBus, Handler, Messenger, Record, Worker, message, on, u32, u64

from suite.case import Case, measure

OUTSIDE = 100
STEPS = 2000  # of arithmetic for a message: 100 us or so
ACCOUNTS = 1000


@message(id=1)
class Task(Record):
    number: u64
    account: u32


@message(id=2)
class Done(Record):
    number: u64


class Laborer(Handler, id=1):
    @on(Task)
    def task(self, task: Task) -> None:
        total = 0
        for step in range(STEPS):
            total += step * step
        self.send(Done(task.number))


def work(shards: int, shard_by: str | None, count: int) -> float:
    """Return the seconds from the first task on the bus to the last answer on it."""
    worker = Worker(
        "labor", [Laborer], {(OUTSIDE, Task): [Laborer]}, process=True, shards=shards, shard_by=shard_by
    )
    capacity = 1 << max(16, (count * 256).bit_length())  # everything stays on the ring
    with CircularBus(capacity, timestamps=True) as bus:
        with Messenger(bus, [worker]).run() as handles, bus.sender(OUTSIDE) as sender:
            for number in range(count):
                sender.send(Task(number, number % ACCOUNTS))
            handles.stop()  # which sleeps until all is done: nobody else needs a processor
        with bus.reader(gate=False) as reader:
            found: list[Any] = list(iter(lambda: reader.read(0), None))
    done = [one.decode(Done).number for one in found if one.source == Laborer.source_id]
    assert sorted(done) == list(range(count)), "a message was lost, or handled twice"
    return float(found[-1].timestamp - found[0].timestamp) / 1e9


ALONE = "work, one process"
CASES = [
    Case(ALONE, partial(work, 1, None)),
    Case("work, two shards", partial(work, 2, None), False, ALONE),
    Case("work, two shards by a field", partial(work, 2, "account"), False, ALONE),
]

if __name__ == "__main__":
    measure("A message to a handler that keeps a processor busy", CASES)
