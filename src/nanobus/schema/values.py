"""From the description of a layout to the function that reads payloads, without the application's code.

What it returns: numbers, text and bytes as they are, objects as SimpleNamespace, lists and dicts. Objects inside of
JSON stay dicts, as JSON does not tell the two apart.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from nanobus.schema import descriptors, msgpack, packed
from nanobus.schema.layouts import Layout

PayloadReader = Callable[[bytes], Any]


def reader_of(layout: Layout) -> PayloadReader:
    """Make the function that reads payloads of `layout`; where nobody can, it returns the payload itself.

    Raises
    ------
    ValueError
        This describes no layout; the text says why. The function that is returned raises whatever it may for payloads
        that do not fit.
    """
    match layout:
        case {"kind": "struct", "size": int(), "fields": list()}:
            return struct_reader_of(layout)
        case {"kind": "array", "items": items}:
            return array_reader_of(items)
        case {"kind": "msgpack", "shape": str(), "fields": list(fields), "objects": list(objects)}:
            check_outline(fields)
            return msgpack.reader_of(objects)
        case {"kind": "json", "shape": str(), "fields": list(fields)}:
            check_outline(fields)
            return read_json
        case {"kind": "protobuf", "fields": list(fields), "message": str(message), "files": str(files)}:
            check_outline(fields)
            return descriptors.reader_of(message, files)
        case {"kind": "bytes"} | {"kind": "opaque", "reason": str()}:
            return read_bytes
    raise ValueError(f"a layout must be of a known kind and have what belongs to it, got {layout!r:.200}")


def struct_reader_of(layout: Layout) -> PayloadReader:
    size, read = packed.reader_of({"size": layout["size"], "fields": layout["fields"]})

    def read_struct(payload: bytes) -> Any:
        if len(payload) != size:
            raise ValueError(f"the payload must have {size} bytes, got {len(payload)}")
        return read(payload, 0)

    return read_struct


def array_reader_of(items: packed.PackedType) -> PayloadReader:
    size, read = packed.reader_of(items)
    if size == 0:
        raise ValueError("the items of an array must have a size")

    def read_array(payload: bytes) -> Any:
        if len(payload) % size:
            raise ValueError(f"the payload must be items of {size} bytes, got {len(payload)}")
        return [read(payload, offset) for offset in range(0, len(payload), size)]

    return read_array


def read_json(payload: bytes) -> Any:
    value = json.loads(payload)
    return SimpleNamespace(**value) if isinstance(value, dict) else value


def read_bytes(payload: bytes) -> bytes:
    return payload


def check_outline(fields: list[Any]) -> None:
    """Raise ValueError unless every field has a name and a type, both texts."""
    for field in fields:
        match field:
            case {"name": str(), "type": str()}:
                continue
        raise ValueError(f"a field must have a name and a type, got {field!r}")
    packed.check_names_differ([field["name"] for field in fields])
