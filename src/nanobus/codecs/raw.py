"""`bytes` and classes derived from it: the payload is the object.

`message(bytes, id=9)` makes plain bytes a message: the handler gets the payload as is. A subclass gets its own id and
its handler an instance of it, made by calling the class with the payload; attributes of its own do not travel. A
bytearray or memoryview is refused: it could change after it was sent. Thread-safe.
"""

from __future__ import annotations

from nanobus.bus.codec import ObjectCodec
from nanobus.codecs.fingerprint import fingerprint_of

NAME = "raw"
FITS = "bytes or a subclass of it"


def matches(cls: type) -> bool:
    return issubclass(cls, bytes)


def codec_for(cls: type, message_id: int) -> ObjectCodec:
    return ObjectCodec(cls, message_id, NAME, fingerprint_of(NAME), None, None if cls is bytes else cls)
