"""The table of cases of a topology: what flows, where, over what. Not every product of these says something new."""

from __future__ import annotations

from functools import partial
from typing import Any

from peers import RIVALS, Journal, Link, Ring
from peers.link import Wait, Where
from suite.case import Case, once
from suite.handlers import stage_of
from suite.messages import CODECS, SIZE_NAMES, SIZES
from suite.posting import IN_BATCHES, IN_C, crew_of
from suite.topology import Topology

BARE_CALL = "bare call of a handler"
SMALL = SIZES[0]
PLACES: tuple[Where, ...] = ("threads", "processes")
QUICK_RIVALS = {"SimpleQueue", "mp.Pipe", "pyzmq"}


def cases(topology: Topology, *, every_size: bool = False) -> list[Case]:
    """Return the cases of a topology.

    Parameters
    ----------
    every_size : bool
        Whether everything is measured with 32 B, 1 KiB and 64 KiB; else with 32 B.
    """
    found = []
    for size in SIZES if every_size else SIZES[:1]:
        for where in PLACES:
            quick = size == SMALL or where == "processes"
            for codec in CODECS:
                found.append(of_handlers(topology, codec, size, where, quick=quick and codec == "Record"))
            found.append(of_handlers(topology, "Record", size, where, journal=True, quick=every_size and size == SMALL))
            found.append(of_links(topology, Ring, size, where, quick=every_size and size == SMALL))
            found.append(of_links(topology, Journal, size, where))
            found.append(in_c(topology, Ring, size, where, "yield", quick=where == "threads"))
        found.append(in_c(topology, Ring, size, "threads", "block"))
        found.append(in_c(topology, Ring, size, "threads", "yield", batches=True, quick=size == SMALL))
        found.append(in_c(topology, Journal, size, "threads", "yield", quick=size == SMALL))
        for kind in RIVALS:
            for where in kind.places:
                quick = kind.name in QUICK_RIVALS and (every_size or where == "processes")
                found.append(of_links(topology, kind, size, where, quick=quick))
    return found


def of_handlers(
    topology: Topology, codec: str, size: int, where: str, *, journal: bool = False, quick: bool = False
) -> Case:
    start = partial(stage_of, topology, codec, size, where == "processes", journal, "block")
    bus = "journal" if journal else "ring"
    return Case(
        name_of(topology.name, "handlers", size, where, codec, bus),
        once(start),
        quick,
        BARE_CALL,
        facts=facts(topology.name, f"handlers, {codec}" + ", journal" * journal, size, where),
    )


def of_links(topology: Topology, kind: type[Link], size: int, where: Where, *, quick: bool = False) -> Case:
    ours = issubclass(kind, Ring)
    name = f"{kind.name}, reader and writer" if ours else kind.name
    return Case(
        name_of(topology.name, name, size, where),
        once(partial(crew_of, topology, kind, size, "block", where)),
        quick,
        name_of(topology.name, "handlers", size, where, "Record", "ring"),
        "" if ours else kind.module,
        facts(topology.name, name, size, where),
    )


def in_c(
    topology: Topology, kind: type[Ring], size: int, where: Where, wait: Wait, *, batches: bool = False,
    quick: bool = False,
) -> Case:
    name = "native" + ", in batches" * batches + ", journal" * (kind is Journal)
    return Case(
        name_of(topology.name, name, size, where, wait),
        once(partial(crew_of, topology, kind, size, wait, where, IN_BATCHES if batches else IN_C)),
        quick,
        f"copy, {SIZE_NAMES[size]}",
        facts=facts(topology.name, name, size, where, wait=wait),
    )


def name_of(topology: str, what: str, size: int, where: str, *more: str) -> str:
    return ", ".join((topology, what, *more, where, SIZE_NAMES[size]))


def facts(topology: str, what: str, size: int, where: str, **more: Any) -> dict[str, Any]:
    """Return what is not empty: metadata of pyperf may not be."""
    every = {"topology": topology, "what": what, "bytes": size, "where": where, **more}
    return {name: value for name, value in every.items() if value}
