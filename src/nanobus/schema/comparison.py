"""The difference between the layout in a journal and the class at hand, field by field."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, NamedTuple

from nanobus.bus.codec import Codec
from nanobus.errors import SchemaMismatchError
from nanobus.schema.layouts import Layout, layout_of
from nanobus.schema.packed import text_of
from nanobus.schema.upcasts import upcast_of

if TYPE_CHECKING:
    from nanobus.schema.entries import MessageEntry


class Place(NamedTuple):
    """A field as far as comparing goes."""

    type_name: str
    offset: int | None  # bytes; None where the order of the fields is all there is
    rank: int  # among all fields, from 0 on


def compare(entry: MessageEntry, codec: Codec) -> bool:
    """Compare what a journal holds under an id with the codec at hand.

    Returns
    -------
    bool
        True: they are the same. False: they differ, and an upcast reads the one as the other.

    Raises
    ------
    SchemaMismatchError
        They differ, and nobody knows how to read one as the other. The text shows each difference.
    """
    if is_layout_of(entry, codec):
        return True
    if upcast_of(codec.message_type, entry.fingerprint) is not None:
        return False
    raise mismatch(entry, codec)


def is_layout_of(entry: MessageEntry, codec: Codec) -> bool:
    """Whether `codec` reads and writes the layout of `entry`."""
    return (entry.codec, entry.fingerprint) == (codec.name, codec.fingerprint)


def mismatch(entry: MessageEntry, codec: Codec) -> SchemaMismatchError:
    """Say how the layout of `entry` differs from that of `codec`."""
    name = codec.message_type.__qualname__
    lines = [
        f"message {entry.id} is {entry.name} ({entry.codec}, {entry.fingerprint}) in the journal from position "
        f"{entry.since} on, and {name} ({codec.name}, {codec.fingerprint}) here:",
        *(f"    {line}" for line in differences(entry.layout, layout_of(codec))),
        f'A function with @upcast({name}, from_fingerprint="{entry.fingerprint}") can make one from the other.',
    ]
    return SchemaMismatchError("\n".join(lines))


def differences(old: Layout, new: Layout) -> list[str]:
    """Return a line for each field that was added, removed, changed or moved, and for what is about all of them."""
    lines = [*differences_of_whole(old, new), *differences_of_fields(places_of(old), places_of(new))]
    return lines or ["no field differs: what the fingerprints tell apart is not described"]


def differences_of_whole(old: Layout, new: Layout) -> Iterator[str]:
    for title, key, unit in (("kind", "kind", ""), ("shape", "shape", ""), ("size", "size", " bytes")):
        if key in old and key in new and old[key] != new[key]:
            yield f"{title:8} {old[key]} -> {new[key]}{unit}"


def differences_of_fields(old: dict[str, Place], new: dict[str, Place]) -> Iterator[str]:
    for name, place in old.items():
        if name not in new:
            yield f"removed  {name}: {place.type_name}"
    for name, place in new.items():
        if name not in old:
            yield f"added    {name}: {place.type_name}"
    for name in new:
        if name in old and old[name].type_name != new[name].type_name:
            yield f"changed  {name}: {old[name].type_name} -> {new[name].type_name}"
    ranks = [old[name].rank for name in new if name in old]
    for name in new:
        if name not in old:
            continue
        before, after = old[name], new[name]
        if before.offset is not None and after.offset is not None:
            if before.offset != after.offset:
                yield f"moved    {name}: from offset {before.offset} to {after.offset}"
        elif ranks != sorted(ranks) and before.rank != after.rank:
            yield f"moved    {name}: from field {before.rank + 1} to {after.rank + 1}"


def places_of(layout: Layout) -> dict[str, Place]:
    """Return the fields of a layout by name; an array of plain items has one, `items`."""
    items = layout.get("items")
    if items is not None and not (isinstance(items, dict) and "fields" in items):
        return {"items": Place(text_of(items), None, 0)}
    fields: list[dict[str, Any]] = (layout if items is None else items).get("fields", [])
    return {
        field["name"]: Place(text_of(field["type"]), field.get("offset"), rank) for rank, field in enumerate(fields)
    }
