"""Peer: a way for two processes to send each other 32 bytes."""

from __future__ import annotations

import multiprocessing
import os
import time
from abc import ABC, abstractmethod
from collections.abc import Callable
from importlib.util import find_spec
from types import TracebackType
from typing import Any, ClassVar, Literal, NamedTuple, Self

Wait = Literal["spin", "block"]

SIZE = 32
PAYLOAD = bytes(range(1, 9)).ljust(SIZE, b"\0")         # a number and room behind it
LAST = b"\xff" * SIZE
SPAWN = multiprocessing.get_context("spawn")


class Ends(NamedTuple):
    """What one process holds; plain callables, so that a loop over them measures little else."""

    send: Callable[[bytes], object]
    receive: Callable[[], Any]                          # the other's next message, waiting for it
    close: Callable[[], object]


class Peer(ABC):
    """One pair of processes: this one asks, another one answers each message with the same bytes.

    Parameters
    ----------
    wait : "spin" or "block"
        Whether who waits for a message keeps looking or sleeps.
    """

    name: ClassVar[str]
    package: ClassVar[str | None] = None                # what `pip install` calls it
    module: ClassVar[str] = "multiprocessing"
    waits: ClassVar[tuple[Wait, ...]] = ("spin", "block")
    ends: Ends                                          # of this process

    def __init__(self, wait: Wait) -> None:
        self.wait = wait
        self.answering_pid = 0

    @classmethod
    def available(cls) -> bool:
        """Whether it can be had here."""
        return find_spec(cls.module) is not None

    @abstractmethod
    def start(self) -> None:
        """Start the process that answers, and wait until it does."""

    @abstractmethod
    def stop(self) -> None:
        """End the process that answers, and leave nothing behind."""

    def round_trips(self, count: int) -> float:
        """Seconds that `count` questions take, each with its answer."""
        send, receive, _ = self.ends
        answer = PAYLOAD
        started = time.perf_counter()
        for _ in range(count):
            send(PAYLOAD)
            answer = receive()
        ended = time.perf_counter()
        if answer != PAYLOAD:
            raise AssertionError(f"{self.name} answered {answer!r}")
        return ended - started

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()


class Programs(Peer):
    """Two programs that send and receive.

    What `__init__` makes travels to the answering one; what `open` makes belongs to the one that calls it.
    """

    @abstractmethod
    def open(self, asks: bool) -> Ends:
        """Return the ends of the process that asks, or of the one that answers."""

    def start(self) -> None:
        ends = self.open(asks=True)
        process = SPAWN.Process(target=self.run_echo, daemon=True)
        process.start()
        self.ends, self.process = ends, process         # only now: neither travels
        self.answering_pid = int.from_bytes(ends.receive()[:8], "little")

    def run_echo(self) -> None:
        """Be the process that answers, until it is sent LAST. Says its process id first."""
        send, receive, close = self.open(asks=False)
        send(os.getpid().to_bytes(8, "little").ljust(SIZE, b"\0"))
        try:
            while (question := receive()) != LAST:
                send(question)
        finally:
            close()

    def stop(self) -> None:
        self.ends.send(LAST)
        self.process.join()
        self.ends.close()
