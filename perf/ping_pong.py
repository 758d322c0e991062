"""A round trip between two, each in a thread or a process of its own."""

from __future__ import annotations

from functools import partial

from peers import RIVALS, Journal, Link, Ring
from peers.link import Wait, Where
from suite.case import Case, measure, once
from suite.messages import CODECS, SIZES
from suite.posting import asking_crew
from suite.round_trips import asking_stage
from suite.streams import PLACES, SMALL, facts, name_of

FLOOR = "a cache line there and back"
PING_PONG = "ping_pong"


def of_handlers(
    codec: str, size: int, where: Where, wait: Wait, *, journal: bool = False, quick: bool = False
) -> Case:
    bus = "journal" if journal else "ring"
    return Case(
        name_of(PING_PONG, "handlers", size, where, codec, bus, wait),
        once(partial(asking_stage, codec, size, where == "processes", journal, wait)),
        quick,
        FLOOR,
        facts=facts(PING_PONG, f"handlers, {codec}" + ", journal" * journal, size, where, wait=wait),
    )


def of_links(kind: type[Link], size: int, where: Where, wait: Wait, *, quick: bool = False) -> Case:
    ours = issubclass(kind, Ring)
    name = f"{kind.name}, reader and writer" if ours else kind.name
    return Case(
        name_of(PING_PONG, name, size, where, wait),
        once(partial(asking_crew, kind, size, wait, where)),
        quick,
        name_of(PING_PONG, "handlers", size, where, "Record", "ring", wait),
        "" if ours else kind.module,
        facts(PING_PONG, name, size, where, wait=wait),
    )


def in_c(kind: type[Ring], size: int, where: Where, wait: Wait, *, quick: bool = False) -> Case:
    bus = "journal" if kind is Journal else "ring"
    return Case(
        name_of(PING_PONG, "native", size, where, bus, wait),
        once(partial(asking_crew, kind, size, wait, where, True)),
        quick,
        FLOOR,
        facts=facts(PING_PONG, "native" + ", journal" * (bus == "journal"), size, where, wait=wait),
    )


def cases() -> list[Case]:
    found = []
    waits: tuple[Wait, ...] = ("spin", "block")
    for size in SIZES:
        for where in PLACES:
            for wait in waits:
                found.append(of_handlers("Record", size, where, wait, quick=size == SMALL))
                found.append(of_links(Ring, size, where, wait, quick=size == SMALL and where == "processes"))
                found.append(in_c(Ring, size, where, wait, quick=size == SMALL and wait == "spin"))
        for kind in RIVALS:
            for where in kind.places:
                for wait in kind.waits:
                    found.append(of_links(kind, size, where, wait, quick=size == SMALL and wait == "block"))
    for codec in CODECS[1:]:
        found.append(of_handlers(codec, SMALL, "processes", "spin", quick=True))
    found.append(of_handlers("Record", SMALL, "processes", "spin", journal=True, quick=True))
    found.append(in_c(Journal, SMALL, "processes", "spin"))
    return found


CASES = cases()

if __name__ == "__main__":
    measure("A round trip", CASES)
