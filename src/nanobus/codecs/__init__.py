"""Layer 4: the codecs of libraries that exist already; records are zero-copy and have a module of their own.

structs      msgspec.Struct, dataclass, attrs: msgpack, by msgspec
protobuf     generated protobuf classes
pydantic     BaseModel, pydantic dataclass: JSON
ctypes       Structure, Union: their own bytes
numpy        a class of arrays of one dtype: their own bytes
raw          bytes
pickle       anything, and only when named
fingerprint  what a layout is called, the same in every process

Every file asks two questions of a class: does it fit (`matches`), and which codec is it then (`codec_for`).

No library is imported here before a class of it is declared: classes are known by the names of their bases and by
the attributes their library leaves on them.

May import: bus.codec, errors.
"""

from __future__ import annotations

from typing import Any, Protocol

from nanobus.bus.codec import Codec, ObjectCodec
from nanobus.codecs import ctypes, numpy, pickle, protobuf, pydantic, raw, structs
from nanobus.codecs.fingerprint import fingerprint_of
from nanobus.errors import MessageError


class CodecKind(Protocol):
    """What each file of this folder is."""

    NAME: str  # what codec= calls it
    FITS: str  # the classes it takes, for error messages

    def matches(self, cls: type) -> bool: ...
    def codec_for(self, cls: type, message_id: int) -> Codec: ...


# The first that matches is taken. pydantic stands before structs, because a pydantic dataclass is a dataclass too.
SEARCHED: tuple[CodecKind, ...] = (raw, ctypes, protobuf, pydantic, structs)
NAMED: dict[str, CodecKind] = {kind.NAME: kind for kind in (*SEARCHED, pickle)}


def codec_for(cls: type, message_id: int, codec: Any = None) -> Codec:
    """Make the codec of `cls`: the one that `codec` names, else the first that fits. Nothing is registered."""
    if codec is None:
        return searched_codec(cls, message_id)
    if isinstance(codec, str):
        return named_codec(cls, message_id, codec)
    if numpy.is_dtype(codec):
        return numpy.codec_for(cls, message_id, codec)
    return users_codec(cls, message_id, codec)


def searched_codec(cls: type, message_id: int) -> Codec:
    make_record_codec = getattr(cls, "__record_codec__", None)
    if make_record_codec is not None:
        made: Codec = make_record_codec(message_id)
        return made
    for kind in SEARCHED:
        if kind.matches(cls):
            return kind.codec_for(cls, message_id)
    raise MessageError(
        f"{cls.__qualname__} has no codec: a message is a Record, {', '.join(kind.FITS for kind in SEARCHED)}, "
        f"or names its codec: codec=np.dtype(...) for {numpy.FITS}, "
        f"codec={pickle.NAME!r} for {pickle.FITS} (never taken unasked), or codec= an object with encode and decode. "
        f"A decorator that makes the class (@dataclass, @attrs.define) stands below @message"
    )


def named_codec(cls: type, message_id: int, name: str) -> Codec:
    if name == "record" and hasattr(cls, "__record_codec__"):
        return searched_codec(cls, message_id)
    if name == "record":
        raise MessageError(f"codec 'record' takes a Record, {cls.__qualname__} is none")
    if name == numpy.NAME:
        raise ValueError("the numpy codec needs to know the dtype: codec=np.dtype(...), got codec='numpy'")
    kind = NAMED.get(name)
    if kind is None:
        raise ValueError(f"codec must be one of {', '.join(map(repr, ('record', *NAMED)))}, got {name!r}")
    if not kind.matches(cls):
        raise MessageError(f"codec {name!r} takes {kind.FITS}, {cls.__qualname__} is none")
    return kind.codec_for(cls, message_id)


def users_codec(cls: type, message_id: int, codec: Any) -> Codec:
    """A codec of the user's: what it does not tell about itself cannot be in the fingerprint."""
    encode, decode = getattr(codec, "encode", None), getattr(codec, "decode", None)
    if isinstance(codec, type) or not callable(encode) or not callable(decode):
        raise TypeError(
            f"codec must be a name, a numpy dtype or an object with encode(message) and decode(payload), got {codec!r}"
        )
    name = getattr(codec, "name", type(codec).__name__)
    if not isinstance(name, str):
        raise TypeError(f"the name of a codec must be a str, got {name!r}")
    fingerprint = getattr(codec, "fingerprint", None)
    if fingerprint is None:
        fingerprint = fingerprint_of(name, cls.__qualname__)
    elif not isinstance(fingerprint, str):
        raise TypeError(f"the fingerprint of a codec must be a str, got {fingerprint!r}")
    return ObjectCodec(cls, message_id, name, fingerprint, encode, decode)
