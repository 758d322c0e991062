"""One worker in several processes: what each shard is called, which messages are its own, and where it goes on.

    Worker("risk", ..., shards=3, shard_by="account", cursor="risk")

    name                    cursor                 handles
    risk/0 risk/1 risk/2    risk.0of3.account ..   what Division says: all shards see one order, and decide alike

Cursors name what divides the messages: the number of shards, and the field, if there is one. With another number or
field the messages that one shard has left behind would be another one's: lost, or handled a second time. So a journal
that has such cursors is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from copy import copy
from typing import TYPE_CHECKING, Any

from nanobus.bus.base import Bus
from nanobus.bus.codec import Codec, find_codec
from nanobus.bus.envelope import TIMER_ID, Envelope
from nanobus.dispatch.division import KINDS, Division
from nanobus.errors import CorruptMessageError, RoutingError
from nanobus.records.lending import RecordCodec
from nanobus.records.views import Field
from nanobus.schema import Reading, Schema

if TYPE_CHECKING:
    from nanobus.routing import Worker

# Where msgspec, dataclasses and pydantic list the fields of a class; those of Record, ctypes, numpy are its attributes,
# and it has one of these.
NAMES_OF_FIELDS = ("__struct_fields__", "__dataclass_fields__", "__pydantic_fields__")
FIELDS_ARE_ATTRIBUTES = ("__layout__", "_fields_", "__array_finalize__")
CURSOR_ENDING = re.compile(r"\.\d+of\d+(\.[^.]+)?\Z")

KeyPlace = tuple[int, int, str, int]        # offset and size of a field, its struct character, size of the payload


def shards_of(workers: Iterable[Worker]) -> list[Worker]:
    """Return what runs: each shard of every worker, in order, as a worker of its own; one that has none as it is."""
    return [
        worker if worker.shards == 1 else shard_of(worker, index)
        for worker in workers
        for index in range(worker.shards)
    ]


def shard_of(worker: Worker, index: int) -> Worker:
    part = copy(worker)
    part.name = f"{worker.name}/{index}"
    part.cursor = None if worker.cursor is None else cursor_of_shard(worker, worker.cursor, index)
    part.shard = index
    return part


def cursor_of_shard(worker: Worker, name: str, index: int) -> str:
    field = "" if worker.shard_by is None else f".{worker.shard_by}"
    return f"{name}.{index}of{worker.shards}{field}"


def division_of(worker: Worker) -> Division | None:
    """Return how the messages of a worker are divided; None where it has one shard."""
    if worker.shards == 1:
        return None
    messages = {message for _, message in worker.routes}
    places = {find_codec(message).message_id: place_of_key(worker, message) for message in messages}
    return Division(worker.shards, worker.shard_by, {one: place for one, place in places.items() if place is not None})


def place_of_key(worker: Worker, message: Any) -> KeyPlace | None:
    """Return where the key of a message lies in its payload; None where the message must be decoded to have it."""
    codec = find_codec(message)
    field = None if worker.shard_by is None else getattr(message, worker.shard_by, None)
    if not isinstance(codec, RecordCodec) or not isinstance(field, Field) or field.format[-1] not in KINDS:
        return None
    return field.offset, field.size, field.format[-1], codec.fixed_size


def must_be_decoded(worker: Worker, message: type, codec: Codec) -> bool:
    """Whether only the decoded message tells which shard it is for: what lies ahead may have an older layout."""
    if worker.shards == 1 or worker.shard_by is None:
        return False
    return codec is not find_codec(message) or place_of_key(worker, message) is None


def finder_of_shards(worker: Worker, bus: Bus, schema: Schema) -> Callable[[int], int]:
    """Return a function: position of a message or tick on `bus` -> index of the shard of `worker` that it is for."""
    division = division_of(worker)
    assert division is not None
    codecs = [] if worker.shard_by is None else [find_codec(message) for _, message in worker.routes]
    readings = {codec.message_id: Reading(codec, schema) for codec in codecs}

    def find(position: int) -> int:
        try:
            message = bus.read(position)
        except CorruptMessageError:
            message = None
        if message is not None and message.message_id == TIMER_ID:
            return shard_of_tick(message, worker.shards)
        reading = None if message is None else readings.get(message.message_id)
        if message is None or reading is None:
            return division.at(position)
        try:
            return division.of(reading.read(position, message.payload))
        except Exception:                   # whatever a key may raise where it is looked at
            return division.at(position)

    return find


def shard_of_tick(tick: Envelope, shards: int) -> int:
    shard = int.from_bytes(tick.payload[4:8], "little")
    return shard if shard < shards else 0   # of a run with more of them


def check_shards(workers: Sequence[Worker]) -> None:
    """Raise RoutingError for a shard that is called as another worker, and for a message that has no key."""
    names = [worker.name for worker in shards_of(workers)]
    for name in names:
        if names.count(name) > 1:
            raise RoutingError(f"two workers are named {name!r}: a shard is named by its worker, a slash, its number")
    for worker in workers:
        for message in dict.fromkeys(message for _, message in worker.routes):
            if worker.shard_by is not None:
                check_key(worker, worker.shard_by, message)


def check_key(worker: Worker, field: str, message: Any) -> None:
    if not may_have(message, field):
        raise RoutingError(
            f"worker {worker.name!r} is sharded by {field!r}, and its message {message.__qualname__} has no such field"
        )
    found = getattr(message, field, None)
    if isinstance(found, Field) and (found.format[-1] not in KINDS or found.format.startswith("(")):
        raise RoutingError(
            f"worker {worker.name!r} is sharded by {field!r}, which must be an integer, a boolean or fixed bytes: "
            f"{found!r} is none"
        )


def may_have(message: Any, field: str) -> bool:
    """Whether messages of a class have a field or property; True where their class does not tell."""
    known = [getattr(message, name) for name in NAMES_OF_FIELDS if hasattr(message, name)]
    known.append([one.name for one in getattr(message, "__attrs_attrs__", ())])
    known.append(getattr(getattr(message, "DESCRIPTOR", None), "fields_by_name", ()))
    if any(field in fields for fields in known):
        return True
    if hasattr(message, field):
        return not callable(getattr(message, field))
    tells = any(known) or issubclass(message, bytes) or any(hasattr(message, name) for name in FIELDS_ARE_ATTRIBUTES)
    return not tells


def check_shard_cursors(workers: Iterable[Worker], cursors: Mapping[str, int]) -> None:
    """Raise RoutingError where a journal has cursors of a worker or shard that others than its shards have moved."""
    for worker in workers:
        if worker.cursor is None:
            continue
        name = CURSOR_ENDING.sub("", worker.cursor)
        own = {name}
        divided = "1 shard"
        if worker.shards > 1:
            own = {cursor_of_shard(worker, name, index) for index in range(worker.shards)}
            divided = f"{worker.shards} shards by {'position' if worker.shard_by is None else repr(worker.shard_by)}"
        others = sorted(one for one in cursors if CURSOR_ENDING.sub("", one) == name and one not in own)
        if others:
            raise RoutingError(
                f"worker {worker.name!r} has {divided}, and the journal cursors of another division, "
                f"{', '.join(map(repr, others))}: which shard handled what depends on their number and field. "
                f"Run it with those, or drop those cursors (journal.drop_cursor) to begin anew"
            )
