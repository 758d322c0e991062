"""Every bus, in every mode it has: the contract's tests run on each. A further bus adds itself to MODES."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest

from nanobus import CircularBus, JournalBus

MODES: dict[str, Callable[[Any], Any]] = {
    "ring": lambda _: CircularBus(1 << 20),
    "ring, spinning": lambda _: CircularBus(1 << 20, wait="spin"),
    "ring, yielding": lambda _: CircularBus(1 << 20, wait="yield"),
    "ring, timestamps and checksums": lambda _: CircularBus(1 << 20, timestamps=True, checksum=True),
    "ring, overwriting": lambda _: CircularBus(1 << 20, overflow="overwrite"),
    "ring, refusing": lambda _: CircularBus(1 << 20, overflow="error"),
    "ring in a file": lambda folder: CircularBus(1 << 20, folder / "ring"),
    "journal": lambda folder: JournalBus(folder / "journal"),
    "journal, bare": lambda folder: JournalBus(folder / "journal", timestamps=False, checksum=False),
    "journal, synced": lambda folder: JournalBus(folder / "journal", sync="commit"),
    "journal in memory": lambda _: JournalBus(segment_size=1 << 20, wait="spin"),
}


@pytest.fixture(params=MODES)
def bus(request: pytest.FixtureRequest, tmp_path: Any) -> Iterator[Any]:
    with MODES[request.param](tmp_path) as made:
        yield made
