"""Who calls a handler: a C loop through its vectorcall, or a loop in Python over an iterator in C.

The interpreter runs one Python function from another without leaving its own loop, which a call from C has to enter
anew. Taking each pair from the iterator and apart costs about as much, so there is nothing to win; and a C loop keeps
its state to itself.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any

import native


class Handler:
    def receive(self, message: object) -> None:
        pass


def drive(calls: Iterable[tuple[Callable[[Any], None], Any]]) -> None:
    for call, message in calls:
        call(message)


def from_python(count: int) -> float:
    calls = repeat((Handler().receive, object()), count)
    started = time.perf_counter()
    drive(calls)
    return time.perf_counter() - started


def from_c(count: int) -> float:
    call, receive, message = native.load("calls").call, Handler().receive, object()
    started = time.perf_counter()
    call(receive, message, count)
    return time.perf_counter() - started
