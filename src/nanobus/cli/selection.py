"""Which messages are wanted."""

from __future__ import annotations

import argparse
from collections.abc import Iterable, Iterator

from nanobus.bus.envelope import Envelope
from nanobus.cli.looking import Look
from nanobus.cli.options import Moment, UsageError
from nanobus.cli.wording import Wording


class Selection:
    """What `--from --until --source --message --limit` say."""

    def __init__(self, options: argparse.Namespace, look: Look, wording: Wording) -> None:
        self._look = look
        self._wording = wording
        self._from, self._until = options.start, options.until
        self._sources = None if options.source is None else frozenset(options.source)
        self._messages = None if options.message is None else frozenset(options.message)
        self._limit = options.limit
        if not look.scan.timestamps and any(one and one.time is not None for one in (self._from, self._until)):
            raise UsageError("--from and --until must be positions: the messages of this journal carry no timestamps")
        self._is_whole = self._sources is self._messages is self._from is self._until is self._limit is None

    @property
    def start(self) -> int | None:
        """Where to begin to look; None: where the journal does."""
        if self._from is None:
            return None
        return self._look.scan.find_time(self._from.time) if self._from.position is None else self._from.position

    def of(self, messages: Iterable[Envelope]) -> Iterator[Envelope]:
        """Yield those that are wanted, and stop where none can follow."""
        return iter(messages) if self._is_whole else self._choose(messages)

    def _choose(self, messages: Iterable[Envelope]) -> Iterator[Envelope]:
        left = self._limit
        if left == 0:
            return
        begun = self._from is None
        for one in messages:
            if reaches(one, self._until):
                return
            begun = begun or reaches(one, self._from)
            if begun and self._is_named(one):
                yield one
                if left is not None:
                    left -= 1
                    if left == 0:
                        return

    def _is_named(self, one: Envelope) -> bool:
        by_source = self._sources is None or not self._sources.isdisjoint(
            (str(one.source), self._wording.source_of(one))
        )
        return by_source and (
            self._messages is None
            or not self._messages.isdisjoint((str(one.message_id), self._wording.name_of(one)))
        )


def reaches(one: Envelope, moment: Moment | None) -> bool:
    """Whether a message is of this moment or later; of none, never."""
    if moment is None:
        return False
    if moment.position is not None:
        return one.position >= moment.position
    return moment.time is not None and one.timestamp >= moment.time
