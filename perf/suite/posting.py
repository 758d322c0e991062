"""Who works where: the crew of a topology over links of one kind, in Python or in C."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from peers.link import Link, Shape, Wait, Where
from suite import loops, natives
from suite.crew import Crew, Worker
from suite.topology import Topology

IN_PYTHON: tuple[Any, ...] = (loops.Source, loops.Relay, loops.Sink)
IN_C: tuple[Any, ...] = (natives.NativeSource, natives.NativeRelay, natives.NativeSink)
IN_BATCHES: tuple[Any, ...] = (natives.NativeBatchSource, natives.NativeRelay, natives.NativeSink)


def crew_of(
    topology: Topology, kind: type[Link], size: int, wait: Wait, where: Where, nodes: tuple[Any, ...] = IN_PYTHON
) -> Crew:
    """Return the crew of a topology, ready to be told how often.

    Parameters
    ----------
    nodes : tuple of Worker classes
        What sources, relays and sinks are: IN_PYTHON, IN_C or IN_BATCHES.
    """
    links = [
        kind(Shape(size, wait, where, True, len(topology.producers(one)), len(topology.consumers(one))))
        for one in range(topology.links())
    ]
    source, relay, sink = nodes
    workers: list[tuple[Worker, Callable[[int], int]]] = []
    for place, (reads, writes) in enumerate(topology.nodes):
        reader = topology.consumers(reads).index(place) if reads is not None else 0
        writer = topology.producers(writes).index(place) if writes is not None else 0
        if reads is None:
            worker = source(links[writes or 0], writer)
        elif writes is None:
            worker = sink(links[reads], reader)
        else:
            worker = relay(links[reads], reader, links[writes], writer)

        def share(count: int, place: int = place) -> int:
            return topology.share(place, count)

        workers.append((worker, share))
    return Crew(workers, links, where)


def asking_crew(kind: type[Link], size: int, wait: Wait, where: Where, in_c: bool = False) -> Crew:
    """Return the crew of two, one that asks and one that answers, over a link each way."""
    there, back = (kind(Shape(size, wait, where)) for _ in range(2))
    asker: Any = natives.NativeAsker if in_c else loops.Asker
    relay = IN_C[1] if in_c else IN_PYTHON[1]
    return Crew([(asker(there, back), int), (relay(there, 0, back, 0), int)], [there, back], where)
