"""Generated protobuf classes: `message(Quote, id=7)`, in a module of yours, since theirs is generated.

Both functions are methods of the protobuf runtime itself: `SerializeToString`, called with the message, and
`FromString`. A payload that was cut between two fields is a valid protobuf message: the format cannot tell.
Threads: both may be called from any; a message that another thread is changing must not be sent.
"""

from __future__ import annotations

from typing import Any

from nanobus.bus.codec import ObjectCodec
from nanobus.codecs.fingerprint import fingerprint_of
from nanobus.errors import MessageError

NAME = "protobuf"
FITS = "a generated protobuf class"


def matches(cls: type) -> bool:
    return any(base.__module__ == "google.protobuf.message" and base.__name__ == "Message" for base in cls.__mro__)


def codec_for(cls: Any, message_id: int) -> ObjectCodec:
    if cls.DESCRIPTOR is None:
        raise MessageError(f"{cls.__qualname__} has no fields: declare the classes that protoc generated from it")
    fingerprint = fingerprint_of(NAME, layout_of(cls.DESCRIPTOR))
    return ObjectCodec(cls, message_id, NAME, fingerprint, cls.SerializeToString, cls.FromString)


def layout_of(descriptor: Any) -> str:
    """Write the fields of a message, of all messages in it, and of their enums."""
    lines = []
    pending, known = [descriptor], {descriptor.full_name}
    for found in pending:
        lines.append(found.full_name)
        for field in found.fields:
            inner, enum = field.message_type, field.enum_type
            kind = (inner or enum).full_name if inner or enum else field.type
            lines.append(f"{field.number} {field.name} {cardinality_of(field)} {kind}")
            if enum is not None:
                lines += [f"{value.number} {value.name}" for value in enum.values]
            if inner is not None and inner.full_name not in known:
                known.add(inner.full_name)
                pending.append(inner)
    return "\n".join(lines)


def cardinality_of(field: Any) -> str:
    if not hasattr(field, "is_repeated"):  # protobuf 5; from 6 on `label` warns
        return ("optional", "required", "repeated")[field.label - 1]
    return "repeated" if field.is_repeated else "required" if field.is_required else "optional"
