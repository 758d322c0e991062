"""Link: a one-way way for bytes, from producers to consumers; every consumer gets every message."""

from __future__ import annotations

import multiprocessing
from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from importlib.util import find_spec
from typing import Any, ClassVar, Literal, NamedTuple

Wait = Literal["spin", "yield", "block"]
Where = Literal["threads", "processes"]
Send = Callable[[bytes], object]

SPAWN = multiprocessing.get_context("spawn")


class End(NamedTuple):
    """What one node holds; plain callables, so that a loop over one measures little else."""

    call: Callable[..., Any]                # send(payload), or receive(), which waits for the next message
    close: Callable[[], object]


class Shape(NamedTuple):
    """What a link is for.

    Attributes
    ----------
    size : int
        Bytes of a message, of every one.
    wait : "spin", "yield" or "block"
        Whether who waits for a message keeps looking or sleeps; "yield" is for what is ours.
    where : "threads" or "processes"
        What its ends are in.
    streams : bool
        Whether many messages are on their way at a time, or each waits for an answer: some have a way for each.
    """

    size: int
    wait: Wait
    where: Where
    streams: bool = False
    producers: int = 1
    consumers: int = 1


class Link(ABC):
    """Made by who starts the nodes; what `__init__` makes travels to them, what an end makes belongs to its node."""

    name: ClassVar[str]
    module: ClassVar[str] = "multiprocessing"
    waits: ClassVar[tuple[Wait, ...]] = ("spin", "block")
    places: ClassVar[tuple[Where, ...]] = ("processes",)

    def __init__(self, shape: Shape) -> None:
        self.shape = shape

    @classmethod
    def available(cls) -> bool:
        """Whether it can be had here."""
        return find_spec(cls.module) is not None

    @abstractmethod
    def sender(self, number: int) -> End:
        """Return the end of a producer, in its thread or process."""

    @abstractmethod
    def receiver(self, number: int) -> End:
        """Return the end of a consumer."""

    def close(self) -> None:  # noqa: B027  most have nothing to leave
        """Leave nothing behind, after all ends were closed."""


def to_each(sends: Sequence[Send]) -> Send:
    """Return what sends to every consumer, where the library itself sends to one."""
    if len(sends) == 1:
        return sends[0]

    def send(payload: bytes) -> None:
        for one in sends:
            one(payload)

    return send


def nothing() -> None:
    pass
