"""Decoder: the messages of a journal as JSON-able values, for tools that do not have the application's classes."""

from __future__ import annotations

import datetime
import math
from base64 import b64encode
from types import SimpleNamespace
from typing import Any

from nanobus.schema.entries import MessageEntry, Schema, entry_in_force
from nanobus.schema.values import PayloadReader, reader_of


class Decoder:
    """Turns payloads into what `json.dumps` takes, by a schema alone.

    Parameters
    ----------
    schema : Schema

    Notes
    -----
    Objects become dicts, bytes become text where they are printable UTF-8 and `{"base64": ...}` where they are not,
    floats that JSON does not have become "NaN", "Infinity" and "-Infinity", points in time their ISO text. What cannot
    be decoded, because its id is unknown, its codec is the application's own, its library is not installed or its
    bytes do not fit, becomes `{"base64": ..., "reason": ...}`; no payload makes this raise. Thread-safe.
    """

    def __init__(self, schema: Schema) -> None:
        self.schema = schema
        self._entries = {entry.id: schema.entries_of(entry.id) for entry in schema.messages}
        self._source_names = {source.id: source.name for source in schema.sources}
        self._readers: dict[tuple[int, int], PayloadReader] = {}  # by id and `since`

    def decode(self, message_id: int, payload: bytes, position: int) -> Any:
        """Decode the payload of the message at `position`."""
        entry = self._entry_at(message_id, position)
        if entry is None:
            return undecoded(payload, f"the schema does not know message {message_id} at position {position}")
        if entry.layout["kind"] == "opaque":
            return undecoded(payload, entry.layout["reason"])
        try:
            return shown(self._reader_of(entry)(payload))
        except Exception as error:
            return undecoded(payload, f"{entry.codec} layout of {entry.name}: {error}")

    def message_name(self, message_id: int, position: int) -> str | None:
        """Return the name of the class that `message_id` meant at `position`; None where the schema does not know."""
        entry = self._entry_at(message_id, position)
        return None if entry is None else entry.name

    def source_name(self, source_id: int) -> str | None:
        """Return the name of the handler with this id; None where the schema does not know."""
        return self._source_names.get(source_id)

    def _entry_at(self, message_id: int, position: int) -> MessageEntry | None:
        return entry_in_force(self._entries.get(message_id, ()), position)

    def _reader_of(self, entry: MessageEntry) -> PayloadReader:
        key = (entry.id, entry.since)
        reader = self._readers.get(key)
        if reader is None:
            reader = self._readers[key] = reader_of(entry.layout)
        return reader


def undecoded(payload: bytes, reason: str) -> dict[str, str]:
    return {"base64": b64encode(payload).decode(), "reason": reason}


def shown(value: Any) -> Any:
    """Turn what a payload reader returned into what JSON has."""
    if value is None or isinstance(value, (bool, int, str)):
        return value
    if isinstance(value, float):
        if math.isfinite(value):
            return value
        return "NaN" if math.isnan(value) else "Infinity" if value > 0 else "-Infinity"
    if isinstance(value, bytes):
        return shown_bytes(value)
    if isinstance(value, SimpleNamespace):
        return {name: shown(item) for name, item in vars(value).items()}
    if isinstance(value, dict):
        return {shown_key(key): shown(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [shown(item) for item in value]
    if isinstance(value, datetime.datetime):
        return value.isoformat()
    if hasattr(value, "code") and hasattr(value, "data"):  # an extension type of msgpack
        return {"extension": value.code, "data": shown(value.data)}
    return str(value)


def shown_key(key: Any) -> str:
    found = shown(key)
    return found if isinstance(found, str) else str(found)


def shown_bytes(payload: bytes) -> Any:
    try:
        text = payload.decode()
    except UnicodeDecodeError:
        return {"base64": b64encode(payload).decode()}
    if all(character.isprintable() or character in "\n\r\t" for character in text):
        return text
    return {"base64": b64encode(payload).decode()}
