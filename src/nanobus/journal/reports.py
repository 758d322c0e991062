"""What a journal tells of itself: plain values, no reference to the bus."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Literal

from nanobus.bus.statistics import BusStatistics


@dataclass(frozen=True, slots=True)
class Recovery:
    """What opening a journal had to put right.

    `reason`: "new", "clean", "crash" (its last users died), "reboot" (the machine did), "refused" (the disk had refused
    a sync: what it may not have was checked and written again), or "joined" (others have it open). `head` is where it
    goes on, `sealed` how many claims of the dead became padding. Where the disk had not kept everything, `cut_from` is
    the first position that was cut away, and `cut_bytes` how much of the log that was.
    """

    reason: Literal["new", "clean", "crash", "reboot", "refused", "joined"]
    head: int
    sealed: int = 0
    cut_from: int | None = None
    cut_bytes: int = 0


@dataclass(frozen=True)
class JournalStatistics(BusStatistics):
    """BusStatistics of a journal, whose `capacity` is that of a segment. `tail`: the first position that is kept;
    `durable`: every message before it is on the disk; `segments`: how many there are."""

    tail: int
    durable: int
    segments: int


@dataclass(frozen=True, slots=True)
class Retention:
    """How much of a journal is kept; the oldest segments go first, whole, and never the one being written.

    Parameters
    ----------
    size : int, optional
        Bytes of log, in whole segments.
    age : timedelta or float, optional
        How long after its last message was written a segment may go; seconds where it is a number. Needs a journal with
        timestamps.
    count : int, optional
        Segments.

    Notes
    -----
    A segment is kept as long as a registered reader (`gate=True`) or a named cursor has not passed it.
    """

    size: int | None = None
    age: timedelta | float | None = None
    count: int | None = None

    def __post_init__(self) -> None:
        for name, value in (("size", self.size), ("count", self.count)):
            if value is not None and (isinstance(value, bool) or not isinstance(value, int) or value < 1):
                raise ValueError(f"{name} must be an int >= 1, got {value!r}")
        if self.age is not None and not self.age_ns > 0:
            raise ValueError(f"age must be > 0 seconds, got {self.age!r}")

    @property
    def age_ns(self) -> int:
        """Nanoseconds; meaningful only where there is an age."""
        seconds = self.age.total_seconds() if isinstance(self.age, timedelta) else self.age
        return int((seconds or 0) * 1_000_000_000)
