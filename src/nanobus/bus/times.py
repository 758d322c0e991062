"""Points in time, as the timestamps of messages tell them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
FIRST, LAST = -(2**63), 2**63 - 1  # unix ns that a slot has room for: from 1677 to 2262


def timestamp_of(time: datetime) -> int:
    """Return a time, which must have a time zone, as unix ns; one that no message can have as the nearest that can."""
    return min(max((time - EPOCH) // timedelta(microseconds=1) * 1000, FIRST), LAST)
