"""What `bus.statistics()` returns: plain numbers, no reference to the bus."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class WriterStatistics:
    """One open writer: its process id, messages and payload bytes committed, claims aborted or refused for room."""

    process: int
    committed: int
    committed_bytes: int
    aborted: int
    full: int


@dataclass(frozen=True, slots=True)
class ReaderStatistics:
    """One open reader: its process id, position and lag in bytes, whether writers wait for it, gaps it was told of."""

    process: int
    position: int
    lag: int
    gating: bool
    gaps: int
    lost_bytes: int


@dataclass(frozen=True, slots=True)
class BusStatistics:
    """A bus: positions in bytes, and counters since it was made that include the handles that are gone.

    `sealed` counts claims of dead writers turned into padding; `revoked_readers` those that lagged past their limit.
    """

    head: int
    gate: int
    capacity: int
    committed: int
    committed_bytes: int
    aborted: int
    full: int
    sealed: int
    dead_writers: int
    dead_readers: int
    revoked_readers: int
    writers: tuple[WriterStatistics, ...]
    readers: tuple[ReaderStatistics, ...]
