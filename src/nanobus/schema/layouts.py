"""The JSON description of a codec's layout: enough to compare it, and to decode payloads where no class is at hand.

    kind        of the codecs              besides
    "struct"    record, ctypes             size and fields: see packed
    "array"     numpy                      items: see packed
    "msgpack"   msgspec                    shape and fields to compare; objects: see msgpack
    "json"      pydantic                   shape and fields to compare
    "protobuf"  protobuf                   fields to compare; message and files: see descriptors
    "bytes"     raw
    "opaque"    pickle, the user's own     reason: why nobody else can decode it

Fields to compare have a name and a type, written as for a fingerprint.
"""

from __future__ import annotations

from typing import Any

from nanobus.bus.codec import Codec
from nanobus.codecs import ctypes, numpy, pickle, protobuf, pydantic, raw, structs
from nanobus.codecs.fingerprint import arguments_of, field_texts_of, shape_of
from nanobus.records import RecordCodec
from nanobus.schema import descriptors, msgpack, packed

Layout = dict[str, Any]


def layout_of(codec: Codec) -> Layout:
    """Describe what `codec` writes. A codec of the user's with the name of one of ours is taken at its word."""
    cls: Any = codec.message_type
    if isinstance(codec, RecordCodec):
        return {"kind": "struct", **packed.record_struct_of(cls, codec.fixed_size)}
    if codec.name == ctypes.NAME and ctypes.matches(cls):
        return {"kind": "struct", **packed.ctypes_struct_of(cls)}
    if codec.name == numpy.NAME and hasattr(cls, "__array_finalize__"):
        empty = codec.decode_payload(b"")  # the dtype belongs to the codec, not to the class; an empty array shows it
        return {"kind": "array", "items": packed.numpy_type_of(empty.dtype)}
    if codec.name == structs.NAME and structs.matches(cls):
        return {"kind": "msgpack", **outline_of(cls), "objects": msgpack.objects_of(cls)}
    if codec.name == pydantic.NAME and pydantic.matches(cls):
        return {"kind": "json", **outline_of(cls)}
    if codec.name == protobuf.NAME and protobuf.matches(cls):
        descriptor = cls.DESCRIPTOR
        fields = descriptors.fields_of(descriptor)
        return {"kind": "protobuf", "fields": fields, **descriptors.description_of(descriptor)}
    if codec.name == raw.NAME and raw.matches(cls):
        return {"kind": "bytes"}
    if codec.name == pickle.NAME:
        return {"kind": "opaque", "reason": "a pickle is not decoded: to unpickle is to run code"}
    return {"kind": "opaque", "reason": f"the codec {codec.name!r} is the application's own"}


def outline_of(cls: type) -> Layout:
    """What the fingerprint of a class with annotations is made of, field by field."""
    fields = [{"name": name, "type": text} for name, text in field_texts_of(cls, (cls,))]
    return {"shape": shape_of(cls) + arguments_of(cls, (cls,)), "fields": fields}
