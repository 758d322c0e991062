"""Topologies of handlers: each node a handler in a worker of its own, in a thread or a process, on one bus.

What leads a run says how many messages there are to be; each source then sends in bursts, and a message to itself
behind each, so that a full ring holds it up as it would hold up any handler. Sources say when they begin and sinks when
they have all, into a pipe: whoever waits there reads no bus, and costs the ones who do nothing.
"""

from __future__ import annotations

import os
import select
import shutil
import struct
import tempfile
import time
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from nanobus import (
    CircularBus,
    Handler,
    JournalBus,
    Messenger,
    Record,
    Retention,
    RoutingWarning,
    Worker,
    message,
    on,
    u64,
)

from suite.case import Rig
from suite.messages import EVERY, message_of
from suite.topology import Topology

OUTSIDE = 100                               # source id of this program
RING = 1 << 20                              # bytes
KEPT = 1 << 28                              # bytes of journal
PATIENCE = 60                               # seconds: a run that takes longer hangs
MOST_BURST = 1024                           # messages
TOLD = struct.Struct("<d")


@message(id=10)
class Go(Record):
    count: u64


@message(id=11)
class More(Record):
    left: u64


class Plan(NamedTuple):
    """The config of every worker."""

    topology: Topology | None               # None: two that ask and answer
    codec: str
    size: int
    told: str                               # path of the pipe


class Post(Handler):
    """A handler that says when. Its id less one is its place in the topology."""

    def on_start(self) -> None:
        self.plan: Plan = self.config
        self.left = 0
        self.told = os.open(self.plan.told, os.O_WRONLY)
        self.tell()

    def on_stop(self) -> None:
        os.close(self.told)

    def tell(self) -> None:
        os.write(self.told, TOLD.pack(time.perf_counter()))


class Node(Post):
    """One of a topology."""

    @on(Go)
    def go(self, go: Go) -> None:
        assert self.plan.topology is not None
        self.left = self.plan.topology.share(self.source_id - 1, go.count)
        self.begin()

    def begin(self) -> None:
        pass


class Source(Node):
    def on_start(self) -> None:
        super().on_start()
        self.message = message_of(self.plan.codec, self.plan.size)
        self.burst = max(1, min(MOST_BURST, RING // 8 // (self.plan.size + 32)))

    def begin(self) -> None:
        self.tell()
        self.send(More(left=self.left))

    @on(More)
    def more(self, more: More) -> None:
        left, one, send = more.left, self.message, self.send
        now = min(left, self.burst)
        for _ in range(now):
            send(one)
        if left > now:
            self.send(More(left=left - now))


class Relay(Node):
    @on(*EVERY)
    def receive(self, one: Any) -> None:
        self.send(one)


class Sink(Node):
    def begin(self) -> None:
        if not self.left:
            self.tell()

    @on(*EVERY)
    def receive(self, one: Any) -> None:
        self.left -= 1
        if not self.left:
            self.tell()


class Source1(Source, id=1): ...
class Source2(Source, id=2): ...
class Source3(Source, id=3): ...
class Relay2(Relay, id=2): ...
class Relay3(Relay, id=3): ...
class Sink2(Sink, id=2): ...
class Sink3(Sink, id=3): ...
class Sink4(Sink, id=4): ...


HANDLERS: dict[tuple[type[Node], int], type[Node]] = {
    (kind.__mro__[1], kind.source_id): kind
    for kind in (Source1, Source2, Source3, Relay2, Relay3, Sink2, Sink3, Sink4)
}


class Stage(Rig):
    """A messenger that runs workers of Posts, and hears when they begin and end.

    Parameters
    ----------
    words : int
        How many of them say a time in each run: all who begin it, all who end it.
    journal : bool
        Whether they run on a journal instead of a ring.
    wait : str
        How workers wait.
    """

    def __init__(
        self, workers: list[Worker], words: int, codec: str, size: int, *, journal: bool, wait: str,
        topology: Topology | None = None,
    ) -> None:
        self.words = words
        self.folder = Path(tempfile.mkdtemp(prefix="perf-"))
        told = self.folder / "told"
        os.mkfifo(told)
        self.told = os.open(told, os.O_RDWR)            # not only to read: then opening would wait for the others
        self.bus: CircularBus | JournalBus = (
            JournalBus(self.folder / "journal", retention=Retention(size=KEPT), wait=wait)  # type: ignore[arg-type]
            if journal
            else CircularBus(RING, wait=wait)  # type: ignore[arg-type]
        )
        with warnings.catch_warnings():                 # that only one of the messages ever comes
            warnings.simplefilter("ignore", RoutingWarning)
            self.handles = Messenger(self.bus, workers, Plan(topology, codec, size, str(told))).run()
        self.listen(len(workers))
        self.go = self.bus.sender(OUTSIDE).send

    def run(self, count: int) -> float:
        self.go(Go(count=count))
        times = self.listen(self.words)
        return max(times) - min(times)

    def listen(self, words: int) -> list[float]:
        heard = b""
        while len(heard) < words * TOLD.size:
            if not select.select([self.told], [], [], PATIENCE)[0]:
                self.handles.stop(drain=False)
                raise TimeoutError(f"handlers did not say a word in {PATIENCE} s")
            heard += os.read(self.told, words * TOLD.size - len(heard))
        return [time for time, in TOLD.iter_unpack(heard)]

    def stop(self) -> None:
        self.handles.stop()
        self.bus.close()
        os.close(self.told)
        shutil.rmtree(self.folder)


def stage_of(topology: Topology, codec: str, size: int, processes: bool, journal: bool, wait: str) -> Stage:
    """Return the stage of a topology, ready to be told how often."""
    kinds = [handler_of(topology, place) for place in range(len(topology.nodes))]
    workers = [
        Worker(kind.__name__, [kind], routes_of(topology, place, kinds, codec, size), process=processes)
        for place, kind in enumerate(kinds)
    ]
    words = sum(issubclass(kind, Source | Sink) for kind in kinds)
    return Stage(workers, words, codec, size, journal=journal, wait=wait, topology=topology)


def handler_of(topology: Topology, place: int) -> type[Node]:
    node = topology.nodes[place]
    kind = Source if node.reads is None else Sink if node.writes is None else Relay
    return HANDLERS[kind, place + 1]


def routes_of(topology: Topology, place: int, kinds: list[type[Node]], codec: str, size: int) -> dict[Any, Any]:
    """Return the table of the worker of a node."""
    kind, node = kinds[place], topology.nodes[place]
    routes: dict[Any, Any] = {(OUTSIDE, Go): [kind]}
    if node.reads is None:
        routes[kind, More] = [kind]
    else:
        for producer in topology.producers(node.reads):
            routes[kinds[producer], type(message_of(codec, size))] = [kind]
    return routes
