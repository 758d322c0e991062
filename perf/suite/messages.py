"""The messages that travel: one class of each codec, for Records one of each size too, with a number in front."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from nanobus import Record, message, u64

NUMBER = 8                                  # bytes of it
SIZES = (32, 1 << 10, 1 << 16)              # bytes of a payload
SIZE_NAMES = {32: "32 B", 1 << 10: "1 KiB", 1 << 16: "64 KiB"}


@message(id=1)
class Small(Record):
    number: u64
    rest: Annotated[bytes, 32 - NUMBER]


@message(id=2)
class Medium(Record):
    number: u64
    rest: Annotated[bytes, (1 << 10) - NUMBER]


@message(id=3)
class Large(Record):
    number: u64
    rest: Annotated[bytes, (1 << 16) - NUMBER]


@message(id=4)
class Packed(msgspec.Struct, array_like=True):
    number: int
    rest: bytes


message(bytes, id=5)

RECORDS = {32: Small, 1 << 10: Medium, 1 << 16: Large}
EVERY = (Small, Medium, Large, Packed, bytes)
CODECS = ("Record", "msgspec", "raw")


def payload(size: int) -> bytes:
    """Return bytes of a size, a number in front."""
    return (1).to_bytes(NUMBER, "little") + b"x" * (size - NUMBER)


def message_of(codec: str, size: int) -> Any:
    """Return a message that takes about so many bytes on the bus: exactly so many as a Record and raw."""
    if codec == "Record":
        return RECORDS[size](number=1, rest=b"x" * (size - NUMBER))
    if codec == "msgspec":
        return Packed(1, b"x" * (size - NUMBER))
    return payload(size)
