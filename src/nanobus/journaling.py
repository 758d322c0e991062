"""What a messenger tells a journal of its messages, and learns from it."""

from __future__ import annotations

import logging
from collections.abc import Iterable, Mapping
from contextlib import suppress

from nanobus.bus.base import Bus
from nanobus.bus.codec import Codec, find_codec
from nanobus.errors import CursorInUseError, SchemaError, SchemaMismatchError
from nanobus.journal.journal import JournalBus
from nanobus.routing import Worker, source_id
from nanobus.schema import Schema, compare, load, update

logger = logging.getLogger("nanobus.journal")


def schema_of(bus: Bus) -> Schema | None:
    """Return what the journal says its messages mean; None where the bus keeps no such record."""
    return load(bus.path) if isinstance(bus, JournalBus) and bus.path is not None else None


def cursors_of(bus: Bus) -> dict[str, int]:
    """Return the named cursors that the bus keeps: name -> position."""
    return bus.cursors() if isinstance(bus, JournalBus) else {}


def drop_cursor(bus: Bus, name: str) -> None:
    """Forget a named cursor, unless somebody has a reader at it, or has dropped it already."""
    if isinstance(bus, JournalBus):
        with suppress(KeyError, CursorInUseError):
            bus.drop_cursor(name)


def keep_promise(bus: Bus) -> None:
    """Return once everything on the bus is on the disk, if that is what it promises for every send."""
    if isinstance(bus, JournalBus) and bus.sync_policy == "commit":
        bus.sync()


def describe(bus: Bus, workers: Iterable[Worker]) -> Schema | None:
    """Write into the journal what the messages and handlers of `workers` are, before the first of them is sent.

    Raises
    ------
    SchemaMismatchError
        The journal holds messages of another layout, and no `@upcast` reads them; or another process may write them.
    """
    if not isinstance(bus, JournalBus) or bus.path is None:
        return None
    routes = [(worker, source, message) for worker in workers for source, message in worker.routes]
    codecs = {codec.message_id: codec for codec in (find_codec(message) for _, _, message in routes)}
    sources = {source_id(one): one.__qualname__ for worker in workers for one in worker.handlers}
    sources |= {source_id(one): one.__qualname__ for _, one, _ in routes if isinstance(one, type)}
    return write_down(bus, codecs.values(), sources)


def describe_codec(journal: JournalBus, codec: Codec) -> None:
    """Write into the journal what the payloads of `codec` are: no table speaks of them, and one is about to be sent."""
    write_down(journal, [codec], {})


def write_down(journal: JournalBus, codecs: Iterable[Codec], sources: Mapping[int, str]) -> Schema:
    codecs = tuple(codecs)

    def change(schema: Schema) -> Schema:
        head = journal.head                     # of this moment: whoever described before may have written since
        known = schema.cut(head)
        merged = known.merge(codecs, sources, head)
        check_others(journal, known, codecs)
        return merged

    assert journal.path is not None
    assert journal.described is not None
    schema = update(journal.path, change)
    journal.described.update(codecs)
    return schema


def check_others(journal: JournalBus, known: Schema, codecs: Iterable[Codec]) -> None:
    """Raise for a new layout while another process may write the one before: nobody could tell them apart."""
    others = journal.other_processes()
    for codec in codecs if others else ():
        entry = known.newest(codec.message_id)
        if entry is not None and not compare(entry, codec):
            name = codec.message_type.__qualname__
            raise SchemaMismatchError(
                f"{name} (message {codec.message_id}) has another layout here ({codec.fingerprint}) than in the "
                f"journal ({entry.fingerprint}), and a new one begins only while no other process has the journal "
                f"open: {', '.join(f'process {one}' for one in others)} may still write the old one"
            )


def forget_what_was_cut(journal: JournalBus) -> None:
    """Take out of the journal's schema what speaks of positions that a recovery has cut away."""
    assert journal.path is not None
    try:
        update(journal.path, lambda schema: schema.cut(journal.head))
    except (SchemaError, OSError) as error:     # `write_down` will try again, and raise
        logger.warning("%s: schema.json may speak of messages that were cut away: %s", journal.path, error)
