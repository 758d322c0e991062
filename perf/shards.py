"""The work of a handler that keeps a processor busy: one process beside two shards, each message handled once."""

from __future__ import annotations

import time

import pyperf

from nanobus import CircularBus, Handler, Messenger, Record, Worker, message, on, u32, u64

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


def work(count: int, shards: int, shard_by: str | None) -> float:
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
            found = list(iter(lambda: reader.read(0), None))
    done = [one.decode(Done).number for one in found if one.source == Laborer.source_id]
    assert sorted(done) == list(range(count)), "a message was lost, or handled twice"
    return (found[-1].timestamp - found[0].timestamp) / 1e9


def one_process_beside_two_shards(count: int) -> None:
    """Print the multiple, of runs that alternate, so that a busy machine slows both alike."""
    ratios = []
    for _ in range(5):
        alone, shared = work(count, 1, None), work(count, 2, None)
        ratios.append(alone / shared)
        time.sleep(0.2)
    lowest, _, middle, _, highest = sorted(ratios)
    print(f"two shards do {middle:.2f} times the work of one process ({lowest:.2f} to {highest:.2f})")


if __name__ == "__main__":
    runner = pyperf.Runner(processes=3, values=3, warmups=0, loops=5000)  # of few messages one shard may have most
    runner.metadata["description"] = "a message handled by work that keeps a processor busy"
    runner.bench_time_func("one process", work, 1, None)
    runner.bench_time_func("two shards", work, 2, None)
    runner.bench_time_func("two shards by a field", work, 2, "account")
    if not runner.args.worker:
        one_process_beside_two_shards(runner.args.loops)
