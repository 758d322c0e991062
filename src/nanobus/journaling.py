"""What a messenger tells a journal of its messages, and learns from it."""

from __future__ import annotations

from collections.abc import Iterable

from nanobus.bus.base import Bus
from nanobus.bus.codec import find_codec
from nanobus.journal.journal import JournalBus
from nanobus.routing import Worker, source_id
from nanobus.schema import Schema, load, update


def schema_of(bus: Bus) -> Schema | None:
    """Return what the journal says its messages mean; None where the bus keeps no such record."""
    return load(bus.path) if isinstance(bus, JournalBus) and bus.path is not None else None


def describe(bus: Bus, workers: Iterable[Worker]) -> Schema | None:
    """Write into the journal what the messages and handlers of `workers` are, before the first of them is sent.

    Raises
    ------
    SchemaMismatchError
        The journal holds messages of another layout, and no `@upcast` reads them.
    """
    if not isinstance(bus, JournalBus) or bus.path is None:
        return None
    routes = [(worker, source, message) for worker in workers for source, message in worker.routes]
    codecs = {codec.message_id: codec for codec in (find_codec(message) for _, _, message in routes)}
    sources = {source_id(one): one.__qualname__ for worker in workers for one in worker.handlers}
    sources |= {source_id(one): one.__qualname__ for _, one, _ in routes if isinstance(one, type)}
    return update(bus.path, codecs.values(), sources, bus.head)
