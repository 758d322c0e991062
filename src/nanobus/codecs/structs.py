"""msgspec.Struct, dataclass and attrs classes: msgpack, written and read by msgspec.

The two functions are bound C methods of msgspec, so that a message goes from C to C with no Python frame between.

- Threads: msgspec's encoders and decoders keep no state between calls (since 0.15) and may be shared by all of them.
- A class is decoded as itself: a union has no id of its own. Tagged structs keep their tag; each is its own message.
- `Box[int]` is no class. Declare `class Prices(Box[int])`; a plain generic is decoded with its type variables' bounds.
- Types that msgspec does not know fail when sent. Hooks (`enc_hook`, `dec_hook`) belong into a codec of your own:
  `codec=` an object with the methods of an Encoder and a Decoder that have them.
- A `memoryview` or `msgspec.Raw` field points into the message's own copy of the payload.
- The order of a set on the wire is that of the process that wrote it; the order of a dict is kept.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from nanobus.bus.codec import ObjectCodec
from nanobus.codecs.fingerprint import fingerprint_of, layout_of
from nanobus.errors import MessageError

NAME = "msgspec"
FITS = "a msgspec.Struct, dataclass or attrs class"


def matches(cls: type) -> bool:
    # The subclass of a dataclass is one only if decorated: its own annotations would be lost otherwise.
    return hasattr(cls, "__struct_fields__") or not vars(cls).keys().isdisjoint(
        ("__dataclass_fields__", "__attrs_attrs__")
    )


def codec_for(cls: type, message_id: int) -> ObjectCodec:
    try:
        import msgspec
    except ImportError as error:
        raise MessageError(f"{cls.__qualname__} needs msgspec: pip install 'nanobus[msgspec]'") from error

    check_attrs(cls)
    decode: Callable[[bytes], Any]
    try:
        decode = msgspec.msgpack.Decoder(cls).decode
        fingerprint = fingerprint_of(NAME, layout_of(cls))
    except KeyError as error:
        raise MessageError(f"{cls.__qualname__}.{error.args[0]} needs a type annotation to be decoded") from error
    except Exception as error:
        raise MessageError(f"msgspec cannot decode {cls.__qualname__}: {error}") from error
    return ObjectCodec(cls, message_id, NAME, fingerprint, msgspec.msgpack.Encoder().encode, decode)


def check_attrs(cls: Any) -> None:
    """Refuse what msgspec drops without a word."""
    for field in getattr(cls, "__attrs_attrs__", ()):
        if field.name.startswith("_"):
            raise MessageError(
                f"{cls.__qualname__}.{field.name} would not be sent: msgspec leaves out attrs fields "
                f"that start with an underscore"
            )
