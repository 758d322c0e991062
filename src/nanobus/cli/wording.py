"""Messages as dicts and as lines."""

from __future__ import annotations

from datetime import UTC, datetime
from json import JSONEncoder
from struct import iter_unpack
from typing import Any

from nanobus.bus.envelope import FIRST_LIBRARY_ID, TIMER_ID, Envelope
from nanobus.schema import Decoder

as_json = JSONEncoder(ensure_ascii=False).encode  # `json.dumps` would make one a call


class Wording:
    """Names and decodes messages by a schema."""

    def __init__(self, decoder: Decoder) -> None:
        self._decoder = decoder

    def source_of(self, message: Envelope) -> str:
        return self._decoder.source_name(message.source) or str(message.source)

    def name_of(self, message: Envelope) -> str:
        if message.message_id >= FIRST_LIBRARY_ID:
            return "tick" if message.message_id == TIMER_ID else f"library {message.message_id:#x}"
        return self._decoder.message_name(message.message_id, message.position) or str(message.message_id)

    def payload_of(self, message: Envelope) -> Any:
        """Return the payload as what JSON has."""
        if message.message_id == TIMER_ID and len(message.payload) in (4, 8):
            words = [word for (word,) in iter_unpack("<I", message.payload)]
            return dict(zip(("timer", "shard"), words, strict=False))
        return self._decoder.decode(message.message_id, message.payload, message.position)

    def row(self, message: Envelope) -> dict[str, Any]:
        """Return all there is to say of a message."""
        return {
            "position": message.position,
            "time": utc(message.timestamp) if message.timestamp else None,
            "timestamp": message.timestamp,
            "source": message.source,
            "source_name": self.source_of(message),
            "message": message.message_id,
            "message_name": self.name_of(message),
            "cause": message.cause,
            "payload": self.payload_of(message),
        }

    def line(self, message: Envelope, indent: str = "") -> str:
        """Return it in one line: position, local time, who sent what."""
        payload = as_json(self.payload_of(message))
        time = local(message.timestamp) if message.timestamp else "-"
        cause = "" if message.cause is None else f"  <- {message.cause}"
        who = f"{indent}{self.source_of(message)} {self.name_of(message)}"
        return f"{message.position:>10}  {time}  {who:<24} {payload}{cause}"


def utc(time: int) -> str:
    """Write unix ns, all nine digits of it."""
    second = datetime.fromtimestamp(time // 1_000_000_000, UTC).replace(tzinfo=None)
    return f"{second.isoformat()}.{time % 1_000_000_000:09}Z"


def local(time: int) -> str:
    """Write unix ns in the form that `--from` takes."""
    second = datetime.fromtimestamp(time // 1_000_000_000)
    return f"{second.isoformat()}.{time % 1_000_000_000 // 1000:06}"
