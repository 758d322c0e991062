"""The two messages. Each has an id of its own, and travels as msgpack because it is a msgspec.Struct."""

import msgspec
from nanobus import message


@message(id=1)
class Ping(msgspec.Struct):
    count: int


@message(id=2)
class Pong(msgspec.Struct):
    count: int
