"""The nodes of a topology as loops in Python over the ends of links."""

from __future__ import annotations

from peers.link import Link
from suite.crew import Job, Worker
from suite.messages import payload


class Source(Worker):
    leads = True

    def __init__(self, into: Link, number: int) -> None:
        self.into = into
        self.number = number

    def open(self) -> Job:
        (send, close), one = self.into.sender(self.number), payload(self.into.shape.size)

        def work(count: int) -> None:
            for _ in range(count):
                send(one)

        return Job(work, close)


class Sink(Worker):
    def __init__(self, out_of: Link, number: int) -> None:
        self.out_of = out_of
        self.number = number

    def open(self) -> Job:
        receive, close = self.out_of.receiver(self.number)
        expected = payload(self.out_of.shape.size)

        def work(count: int) -> None:
            one = expected
            for _ in range(count):
                one = receive()
            if one != expected:
                raise AssertionError(f"{self.out_of.name} brought {len(one)} other bytes")

        return Job(work, close)


class Relay(Worker):
    """Sends on what it receives: in a pipeline, and as the one that answers in a round trip."""

    def __init__(self, out_of: Link, reads: int, into: Link, writes: int) -> None:
        self.out_of, self.reads = out_of, reads
        self.into, self.writes = into, writes

    def open(self) -> Job:
        (receive, leave), (send, close) = self.out_of.receiver(self.reads), self.into.sender(self.writes)

        def work(count: int) -> None:
            for _ in range(count):
                send(receive())

        def close_both() -> None:
            close()
            leave()

        return Job(work, close_both)


class Asker(Worker):
    """Sends, and waits for the answer before it sends again."""

    leads = True

    def __init__(self, into: Link, out_of: Link) -> None:
        self.into, self.out_of = into, out_of

    def open(self) -> Job:
        (receive, leave), (send, close) = self.out_of.receiver(0), self.into.sender(0)
        one = payload(self.into.shape.size)

        def work(count: int) -> None:
            answer = one
            for _ in range(count):
                send(one)
                answer = receive()
            if answer != one:
                raise AssertionError(f"{self.into.name} brought back {len(answer)} other bytes")

        def close_both() -> None:
            close()
            leave()

        return Job(work, close_both)
