"""Latency at a fixed rate, and what waiting costs: this program asks, another process answers, asleep in between.

Questions are due at fixed times, whatever became of the one before, and the latency of an answer counts from the time
its question was due: a peer that stalls pays for everything that was due meanwhile. Who asks keeps looking at the clock
for the last moment before a question is due, so that its own sleep is not measured, and then waits for the answer as
the peer has it.

    p50 .. max      from due to answered
    busy            processor time of the process that answers, per round trip, all its threads
    idle            processor time of both processes in a second without messages; the one that asks rests outside of
                    the peer, so what it uses is what threads of the peer's use in it

Percentiles are of an HDR histogram a round; the histogram itself, as its libraries write it, is metadata of the p50.
Linux: processor time of another process is read from its clock.
"""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Callable
from functools import partial
from typing import Any, NamedTuple

import pyperf
from hdrh.histogram import HdrHistogram
from nanobus import CircularBus, Handler, Messenger, Record, Worker, message, on, u64
from nanobus.bus.codec import find_codec

from peers import RIVALS, Link, Ring
from peers.link import Shape, Wait
from suite.budget import BUDGETS, Budget
from suite.crew import Crew
from suite.loops import Relay
from suite.messages import Small, payload

SIZE = 32
ASKING = 100                                # source id of this program
LAST_MOMENT = 0.0005                        # seconds
LONGEST = 60 * 10**9                        # ns a histogram has room for
DIGITS = 3                                  # that are kept of each
PERCENTILES = (50.0, 90.0, 99.0, 99.9, 100.0)
QUICK_RATES, RATES = (1000,), (200, 1000, 10_000)       # questions a second
TOPIC = "Latency at a fixed rate, between two processes"


@message(id=20)
class Ready(Record):
    process: u64


class Answering(Handler, id=1):
    def on_start(self) -> None:
        self.send(Ready(process=os.getpid()))

    @on(Small)
    def question(self, question: Small) -> None:
        self.send(question)


class Partner(NamedTuple):
    """The process that answers, and how to talk to it."""

    process: int
    send: Callable[[bytes], object]
    receive: Callable[[], bytes]
    begin: Callable[[int], object]          # announces so many questions
    end: Callable[[], object]
    close: Callable[[], object]


def nothing(*_: Any) -> None:
    pass


def handler(wait: Wait) -> Partner:
    """Return a handler in a process, asked by a writer and heard by a reader of the same bus."""
    bus = CircularBus(1 << 16, wait=wait)
    following: Callable[[], Any] = bus.reader("newest").__next__
    worker = Worker("answering", [Answering], {(ASKING, Small): [Answering]}, process=True)
    handles = Messenger(bus, [worker]).run()

    def receive() -> bytes:
        while (envelope := following()).source == ASKING:
            pass
        answer: bytes = envelope.payload
        return answer

    def close() -> None:
        handles.stop()
        bus.close()

    process = int.from_bytes(receive()[:8], "little")
    write = partial(bus.writer().write, ASKING, find_codec(Small).message_id)
    return Partner(process, write, receive, nothing, nothing, close)


def over(kind: type[Link], wait: Wait) -> Partner:
    """Return a process that sends back what it receives, over two links of a kind."""
    there, back = (kind(Shape(SIZE, wait, "processes")) for _ in range(2))
    receive, leave = back.receiver(0)
    crew = Crew([(Relay(there, 0, back, 0), int)], [there, back], "processes")
    send, stop = there.sender(0)

    def close() -> None:
        stop()
        leave()
        crew.stop()

    return Partner(crew.runners[0].pid, send, receive, crew.begin, crew.end, close)


def exchange(partner: Partner, rate: float, seconds: float) -> HdrHistogram:
    send, receive, clock, question = partner.send, partner.receive, time.perf_counter_ns, payload(SIZE)
    count, gap, last_moment = max(1, int(rate * seconds)), int(1e9 / rate), int(LAST_MOMENT * 1e9)
    latencies, answer = [], b""
    partner.begin(count)
    begin = clock() + 10_000_000
    for number in range(count):
        due = begin + number * gap
        if (left := due - clock()) > last_moment:
            time.sleep((left - last_moment) / 1e9)
        while clock() < due:
            pass
        send(question)
        answer = receive()
        latencies.append(clock() - due)
    partner.end()
    if answer != question:
        raise AssertionError(f"an answer of {len(answer)} other bytes")
    histogram = HdrHistogram(1, LONGEST, DIGITS)
    for one in latencies:
        histogram.record_value(min(one, LONGEST))
    return histogram


def processor_time(process: int) -> float:
    """Seconds, user and system, of all threads."""
    return time.clock_gettime((~process << 3) | 2)      # the kernel's name for the clock of a process


def measure(
    start: Callable[[Wait], Partner], name: str, wait: Wait, rate: int, budget: Budget
) -> list[pyperf.Benchmark]:
    """Return the benchmarks of a partner: each percentile, busy, idle."""
    partner, began = start(wait), time.perf_counter()
    found: dict[str, list[tuple[float, dict[str, Any]]]] = {}

    def note(what: str, value: float, **facts: Any) -> None:
        found.setdefault(what, []).append((max(value, 1e-9), facts))

    try:
        exchange(partner, rate, min(0.2, budget.rate_seconds))          # connections, caches
        for _ in range(budget.rounds):
            used = processor_time(partner.process)
            histogram = exchange(partner, rate, budget.rate_seconds)
            note("busy", (processor_time(partner.process) - used) / histogram.get_total_count())
            for percentile in PERCENTILES:
                facts: dict[str, Any] = {"percentile": percentile}
                if percentile == PERCENTILES[0]:
                    facts["histogram"] = histogram.encode().decode()
                note(label(percentile), histogram.get_value_at_percentile(percentile) / 1e9, **facts)
            time.sleep(min(0.1, budget.rate_seconds))
            used, since = processor_time(partner.process) + time.process_time(), time.perf_counter()
            time.sleep(budget.rate_seconds)
            passed = time.perf_counter() - since
            note("idle", (processor_time(partner.process) + time.process_time() - used) / passed)
    finally:
        partner.close()
    facts: dict[str, Any] = {"topic": TOPIC, "what": name, "rate": rate, "wait": wait, "bytes": SIZE}
    return [
        pyperf.Benchmark([
            pyperf.Run([value], metadata={
                "name": f"latency, {name}, {wait}, {rate}/s, {what}", "loops": 1, "figure": what,
                "duration": time.perf_counter() - began, **facts, **more,
            })
            for value, more in values
        ])
        for what, values in found.items()
    ]  # fmt: skip


def label(percentile: float) -> str:
    return "max" if percentile == 100 else f"p{percentile:g}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("-o", "--output", help="write pyperf's JSON")
    parser.add_argument("--budget", choices=BUDGETS, default="full", help="how many rates, and how long")
    arguments = parser.parse_args()
    budget = BUDGETS[arguments.budget]
    partners: dict[str, Callable[[Wait], Partner]] = {
        "a handler answers": handler, "nanobus, reader and writer": partial(over, Ring),
    }
    for kind in RIVALS:
        if "processes" not in kind.places:
            continue
        if kind.available():
            partners[kind.name] = partial(over, kind)
        else:
            print(f"not measured: latency of {kind.name}, for {kind.module} is not installed", flush=True)
    benchmarks = []
    for rate in RATES if arguments.budget == "full" else QUICK_RATES:
        for name, start in partners.items():
            for one in measure(start, name, "block", rate, budget):
                print(f"{one.get_name()}: {one.median() * 1e6:.1f} us", flush=True)
                benchmarks.append(one)
    if arguments.output:
        pyperf.BenchmarkSuite(benchmarks).dump(arguments.output)


if __name__ == "__main__":
    main()
