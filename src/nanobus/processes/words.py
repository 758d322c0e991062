"""All that a messenger and a worker's process say to each other.

    parent                                child
    Assignment  ----------------------->            what to be; a forked child has it already
                <-----------------------  Refused   it cannot be had here: nothing was started
                <-----------------------  Built     its handlers are made
    Begin       ----------------------->            every worker is built, or none will start
                <-----------------------  Logged, Failed, StopWanted, at any time
    StopAt      ----------------------->            at any time after Begin; the earliest counts
    Count       ----------------------->            at any time
                <-----------------------  Counted
                <-----------------------  ReadLast  it reads no more
    NobodyReads ----------------------->            nor does any other worker
                <-----------------------  Done      and then it exits
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class Assignment:
    """What a child is to be."""

    name: str                               # of the worker
    parent: int                             # process id
    main: dict[str, Any]                    # for multiprocessing.spawn.prepare
    work: bytes                             # pickle of (worker, config)
    names: tuple[tuple[str, bytes], ...]    # what else an error may name as the culprit, pickle
    bus: bytes                              # pickle of (function, arguments)
    descriptors: tuple[int, ...]            # inherited for the bus alone
    ticket: tuple[int, int, int] | None     # for its place on the bus; None: it has a named cursor
    log_levels: dict[str, int]


@dataclass(frozen=True, slots=True)
class Begin:
    starts: bool


@dataclass(frozen=True, slots=True)
class StopAt:
    position: int


@dataclass(frozen=True, slots=True)
class Count:
    number: int                             # of the question, which the answer repeats


@dataclass(frozen=True, slots=True)
class NobodyReads:
    pass


@dataclass(frozen=True, slots=True)
class Built:
    pass


@dataclass(frozen=True, slots=True)
class ReadLast:
    pass


@dataclass(frozen=True, slots=True)
class StopWanted:
    drain: bool


@dataclass(frozen=True, slots=True)
class Counted:
    number: int
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class Done:
    counters: dict[str, int]


@dataclass(frozen=True, slots=True)
class Logged:
    record: bytes


@dataclass(frozen=True, slots=True)
class Failed:
    """A HandlerError, in parts."""

    text: str
    handler: int | None                     # index in worker.handlers
    message: bytes | None
    message_text: str | None                # where the message itself cannot be had
    position: int | None
    notes: tuple[str, ...]
    cause: bytes | None
    traceback: str


@dataclass(frozen=True, slots=True)
class Refused:
    error: bytes | None                     # of a NanobusError
    text: str
    traceback: str
