"""Schema: which message id meant which layout, from which position on, and which source id was which handler."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from nanobus.bus.codec import Codec
from nanobus.schema.comparison import compare
from nanobus.schema.layouts import layout_of


@dataclass(frozen=True, slots=True)
class MessageEntry:
    """What a message id means from one position on.

    Attributes
    ----------
    id : int
    name : str
        The qualified name of the class, without its module.
    codec, fingerprint : str
        As in its Codec.
    since : int
        The position in the journal from which on this layout is written.
    layout : dict
        See nanobus.schema.layouts. Not to be changed.
    """

    id: int
    name: str
    codec: str
    fingerprint: str
    since: int
    layout: dict[str, Any] = field(hash=False, repr=False)


@dataclass(frozen=True, slots=True)
class SourceEntry:
    """The name of the handler that a source id belongs to."""

    id: int
    name: str


@dataclass(frozen=True, slots=True)
class Schema:
    """What a journal says about its ids. Immutable; made by `load`, `update`, `merge` and `cut`.

    Attributes
    ----------
    messages : tuple of MessageEntry
        In order of id, those of one id in order of `since`: a layout is in force up to the next one's.
    sources : tuple of SourceEntry
        In order of id.
    """

    messages: tuple[MessageEntry, ...] = ()
    sources: tuple[SourceEntry, ...] = ()

    def entries_of(self, message_id: int) -> tuple[MessageEntry, ...]:
        """Return every meaning this id has had, oldest first."""
        return tuple(entry for entry in self.messages if entry.id == message_id)

    def newest(self, message_id: int) -> MessageEntry | None:
        """Return what this id means now; None where it was never written."""
        entries = self.entries_of(message_id)
        return entries[-1] if entries else None

    def entry_at(self, message_id: int, position: int) -> MessageEntry | None:
        """Return what this id meant at `position`; None where it meant nothing yet."""
        return entry_in_force(self.entries_of(message_id), position)

    def merge(self, codecs: Iterable[Codec], sources: Mapping[int, str], position: int) -> Schema:
        """Add what `codecs` write from `position` on, and the names of sources.

        Parameters
        ----------
        codecs : iterable of Codec
            Those of the messages that will be written.
        sources : mapping of int to str
            Source id -> name of its handler. A new name takes the place of the old one.
        position : int
            The head: where the next message will stand.

        Returns
        -------
        Schema
            This very object where nothing is new.

        Raises
        ------
        SchemaMismatchError
            A message has another layout than what the journal holds, and no upcast from that. Nothing was merged.
        """
        messages = [*self.messages]
        for codec in codecs:
            newest = Schema(tuple(messages)).newest(codec.message_id)
            name = codec.message_type.__qualname__
            if newest is None:
                since = position
            elif compare(newest, codec) and newest.name == name:
                continue
            else:
                since = max(position, newest.since)
            messages.append(
                MessageEntry(codec.message_id, name, codec.name, codec.fingerprint, since, layout_of(codec))
            )
        names = {source.id: source.name for source in self.sources} | dict(sources)
        merged = Schema(
            tuple(sorted(messages, key=lambda entry: (entry.id, entry.since))),
            tuple(SourceEntry(source, name) for source, name in sorted(names.items())),
        )
        return self if merged == self else merged

    def cut(self, head: int) -> Schema:
        """Forget the entries from positions on that the journal, which ends at `head`, does not reach.

        A recovery or a repair has cut away what they spoke of. What is written there next says anew what it is.

        Returns
        -------
        Schema
            This very object where there are none.
        """
        kept = tuple(entry for entry in self.messages if entry.since <= head)
        return self if len(kept) == len(self.messages) else replace(self, messages=kept)


def entry_in_force(entries: Sequence[MessageEntry], position: int) -> MessageEntry | None:
    """Return the last of the entries of one id that began at or before `position`."""
    return next((entry for entry in reversed(entries) if entry.since <= position), None)
