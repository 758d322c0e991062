"""Topology: who sends to whom, as a graph. A node reads one link and writes one; a link has producers and consumers.

    one_to_one      source ─0─ sink                     three_to_one    source ┐
                                                                        source ┼0─ sink
    one_to_three    source ─0┬ sink                                     source ┘
                             ├ sink
                             └ sink                     diamond         source ─0┬ relay ┬1─ sink
                                                                                 └ relay ┘
    pipeline        source ─0─ relay ─1─ sink

Every consumer of a link gets every message of it.
"""

from __future__ import annotations

from typing import NamedTuple


class Node(NamedTuple):
    """One worker: a source reads nothing, a sink writes nothing."""

    reads: int | None
    writes: int | None


class Topology(NamedTuple):
    name: str
    nodes: tuple[Node, ...]

    def links(self) -> int:
        return 1 + max(node.reads for node in self.nodes if node.reads is not None)

    def producers(self, link: int) -> list[int]:
        """Return the places among the nodes of those that write a link."""
        return [place for place, node in enumerate(self.nodes) if node.writes == link]

    def consumers(self, link: int) -> list[int]:
        return [place for place, node in enumerate(self.nodes) if node.reads == link]

    def share(self, place: int, count: int) -> int:
        """Return how many messages a node sends, or a sink receives, when `count` set out from all sources."""
        node = self.nodes[place]
        if node.reads is None:
            sources = [one for one, other in enumerate(self.nodes) if other.reads is None]
            whole, rest = divmod(count, len(sources))
            return whole + (sources.index(place) < rest)
        return sum(self.share(one, count) for one in self.producers(node.reads))


SOURCE, SINK = Node(None, 0), Node(0, None)
RELAY, END = Node(0, 1), Node(1, None)

ONE_TO_ONE = Topology("one_to_one", (SOURCE, SINK))
ONE_TO_THREE = Topology("one_to_three", (SOURCE, SINK, SINK, SINK))
THREE_TO_ONE = Topology("three_to_one", (SOURCE, SOURCE, SOURCE, SINK))
PIPELINE = Topology("pipeline", (SOURCE, RELAY, END))
DIAMOND = Topology("diamond", (SOURCE, RELAY, RELAY, END))
