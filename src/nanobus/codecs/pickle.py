"""Any class that pickle takes, and only by its name: `@message(id=3, codec="pickle")`.

WARNING: to unpickle is to run code. Whoever can write to the bus, or to a journal's files, can run any program in
every process that reads it. Use it where all of them are yours; msgspec is faster besides.

pickle finds a class by module and name, so both sides need the same modules, and a class inside a function is
refused. The fingerprint knows the name of the class and nothing of its fields. Both functions are thread-safe.
"""

from __future__ import annotations

from functools import partial

from nanobus.bus.codec import ObjectCodec
from nanobus.codecs.fingerprint import fingerprint_of
from nanobus.errors import MessageError

NAME = "pickle"
FITS = "a class that can be imported by its name"

PROTOCOL = 5  # what all supported Python versions write and read


def matches(_cls: type) -> bool:
    return True


def codec_for(cls: type, message_id: int) -> ObjectCodec:
    import pickle

    if "<locals>" in cls.__qualname__:
        raise MessageError(f"pickle takes {FITS}, {cls.__qualname__} is inside a function")
    fingerprint = fingerprint_of(NAME, cls.__qualname__)
    return ObjectCodec(cls, message_id, NAME, fingerprint, partial(pickle.dumps, protocol=PROTOCOL), pickle.loads)
