"""What a write costs with more readers that keep up, and a message with more writers: 32 bytes, in C."""

from __future__ import annotations

from functools import partial

from nanobus import CircularBus

import native
from peers import Ring
from suite.case import Case, Measure, measure, once
from suite.posting import IN_C, crew_of
from suite.streams import facts
from suite.topology import SINK, SOURCE, Topology

ROOM = 1 << 18                              # bytes: readers must not push out of the cache what is written next
BURST = 1024                                # messages, between which readers catch up
READERS = (1, 2, 4, 8, 16, 32, 64)
PARTIES = (1, 2, 3, 4, 8)
ALONE = "a write, 1 reader"


def write_beside(readers: int, count: int) -> float:
    with CircularBus(ROOM, readers=readers) as bus:
        handles = [bus.reader() for _ in range(readers)]
        writer, write = bus.writer(), native.load("streams").write_beside
        write(writer, handles, 2 * ROOM // 64, BURST)           # every page, and the gate that is cached
        return float(write(writer, handles, count, BURST)) * 1e-9


def parties(writers: int, readers: int) -> Measure:
    topology = Topology("", (SOURCE,) * writers + (SINK,) * readers)
    return once(partial(crew_of, topology, Ring, 32, "yield", "threads", IN_C))


def plural(count: int, what: str) -> str:
    return f"{count} {what}{'s' * (count != 1)}"


def cases() -> list[Case]:
    found = []
    for count in READERS:
        name, fact = f"a write, {plural(count, 'reader')}", facts("", "a write alone", 32, "", readers=count)
        found.append(Case(name, partial(write_beside, count), count in (1, 8, 64), ALONE, facts=fact))
    for count in PARTIES:
        quick = count in (1, 3)
        fact = facts("", "a message, with readers in threads", 32, "threads", readers=count)
        name = f"a message, 1 writer and {plural(count, 'reader')} in threads"
        found.append(Case(name, parties(1, count), quick, facts=fact))
        fact = facts("", "a message, with writers in threads", 32, "threads", writers=count)
        name = f"a message, {plural(count, 'writer')} in threads and 1 reader"
        if count > 1:
            found.append(Case(name, parties(count, 1), quick, facts=fact))
    return found


CASES = cases()

if __name__ == "__main__":
    measure("The number of readers and writers", CASES)
