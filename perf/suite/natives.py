"""The nodes of a topology as loops in C over writers and readers: without the GIL, the payload where it lies."""

from __future__ import annotations

from functools import partial

import native
from peers.rings import CAPACITY, Ring
from suite.crew import Job, Worker
from suite.messages import payload

BATCH = 64                                  # messages


class NativeSource(Worker):
    leads = True

    def __init__(self, into: Ring, number: int) -> None:
        self.into, self.number = into, number

    def open(self) -> Job:
        produce, bus = native.load("streams").produce, self.into.bus()
        return Job(partial(produce, bus.writer(), 1 + self.number, payload(self.into.shape.size)), bus.close)


class NativeBatchSource(NativeSource):
    """Claims and commits many at a time: fewer where they are large, so that a ring holds several batches."""

    def open(self) -> Job:
        produce, bus = native.load("streams").produce_batches, self.into.bus()
        batch = max(1, min(BATCH, CAPACITY // 8 // (self.into.shape.size + 32)))
        return Job(partial(produce, bus.writer(), 1 + self.number, payload(self.into.shape.size), batch), bus.close)


class NativeSink(Worker):
    def __init__(self, out_of: Ring, number: int) -> None:
        self.out_of = out_of

    def open(self) -> Job:
        consume, bus = native.load("streams").consume, self.out_of.bus()
        return Job(partial(consume, bus.reader("newest")), bus.close)


class NativeRelay(Worker):
    def __init__(self, out_of: Ring, reads: int, into: Ring, writes: int) -> None:
        self.out_of, self.into, self.number = out_of, into, writes

    def open(self) -> Job:
        relay, incoming, outgoing = native.load("streams").relay, self.out_of.bus(), self.into.bus()

        def close() -> None:
            outgoing.close()
            incoming.close()

        return Job(partial(relay, incoming.reader("newest"), outgoing.writer(), 1 + self.number), close)


class NativeAsker(Worker):
    leads = True

    def __init__(self, into: Ring, out_of: Ring) -> None:
        self.into, self.out_of = into, out_of

    def open(self) -> Job:
        ask, incoming, outgoing = native.load("streams").ask, self.out_of.bus(), self.into.bus()

        def close() -> None:
            outgoing.close()
            incoming.close()

        return Job(partial(ask, outgoing.writer(), incoming.reader("newest"), payload(self.into.shape.size)), close)
