"""What a handler of raw bytes is given: a new `bytes`, which copies, or a new `memoryview`, which does not."""

from __future__ import annotations

import time

import native


class Handler:
    def receive(self, payload: bytes) -> None:
        pass


def give(kind: str, size: int, count: int) -> float:
    call, receive, payload = getattr(native.load("tried"), f"call_with_{kind}"), Handler().receive, bytes(size)
    started = time.perf_counter()
    call(receive, payload, count)
    return time.perf_counter() - started
