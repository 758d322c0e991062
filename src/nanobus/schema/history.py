"""The layouts of one message along a journal, all of them read as the class of today.

    position   0            4096                  81920                      head
               | layout A   | layout B            | layout C, the codec's own
               | upcast A   | upcast B            | the codec itself
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Callable
from functools import cache
from itertools import pairwise
from typing import Any

from nanobus.bus.base import BusReader
from nanobus.bus.codec import Codec
from nanobus.errors import DecodeError, NanobusError
from nanobus.schema.comparison import is_layout_of, mismatch
from nanobus.schema.entries import MessageEntry, Schema, entry_in_force
from nanobus.schema.upcasting import UpcastingCodec
from nanobus.schema.upcasts import upcast_of
from nanobus.schema.values import PayloadReader, reader_of

END = 2**64 - 1

Translation = Callable[[int, bytes], bytes | None]


def upcasting_codec(codec: Codec, schema: Schema, reader: BusReader) -> Codec:
    """Return a codec for what `reader` reads from here on, whatever layout it was written in.

    Parameters
    ----------
    codec : Codec
        Of the class at hand.
    schema : Schema
        Of the journal that `reader` reads.
    reader : BusReader
        Its position, while a message is decoded, is that of the message.

    Returns
    -------
    Codec
        `codec` itself where everything ahead of the reader has its layout.

    Raises
    ------
    SchemaMismatchError
        Ahead of the reader stands a layout that no upcast reads as the class.

    Notes
    -----
    For the thread of `reader` only. A message in the newest layout costs one comparison more. Where messages of the
    class are written as well, merge them into the schema first: it says from where on they have the new layout.
    """
    entries = schema.entries_of(codec.message_id)
    own_since = own_layout_since(codec, entries)
    if own_since <= reader.position:
        return codec
    return UpcastingCodec(codec, reader, own_since, History(codec, entries, reader.position).read)


def own_layout_since(codec: Codec, entries: tuple[MessageEntry, ...]) -> int:
    """Return the position from which on all is of the codec's layout; END where the newest is not."""
    since = 0 if not entries or is_layout_of(entries[0], codec) else END
    for before, entry in pairwise(entries):
        if not is_layout_of(entry, codec):
            since = END
        elif not is_layout_of(before, codec):
            since = entry.since
    return since


class History:
    """Reads the payloads of one message, each by the layout that was in force where it stands.

    Layouts that end before `start` need no upcast: nobody will read them.
    """

    def __init__(self, codec: Codec, entries: tuple[MessageEntry, ...], start: int) -> None:
        ends = [*(entry.since for entry in entries[1:]), END]
        ahead = [entry for entry, end in zip(entries, ends, strict=True) if end > start]
        self._starts = [entry.since for entry in ahead]
        # What stands before the first entry was written without a schema: by the class, as far as anybody knows.
        self._readers = [codec.decode_payload, *(message_reader_of(entry, codec) for entry in ahead)]

    def read(self, position: int, payload: bytes) -> Any:
        """Return the message at `position`."""
        return self._readers[bisect_right(self._starts, position)](payload)


class Reading:
    """Reads single recorded payloads of one message, of whichever layout, as the class of today.

    Parameters
    ----------
    codec : Codec
        Of the class at hand.
    schema : Schema
        Of the journal that holds the payloads.

    Notes
    -----
    A layout that no upcast reads is an error only where a payload of it is met.
    """

    def __init__(self, codec: Codec, schema: Schema) -> None:
        self._codec = codec
        self._entries = schema.entries_of(codec.message_id)
        self._reader_of = cache(lambda entry: message_reader_of(entry, codec))

    def read(self, position: int, payload: bytes) -> Any:
        """Return the message at `position`.

        Raises
        ------
        SchemaMismatchError, DecodeError
            No upcast reads its layout; its bytes cannot become the message.
        """
        entry = entry_in_force(self._entries, position)
        return (self._codec.decode_payload if entry is None else self._reader_of(entry))(payload)

    def translate(self, position: int, payload: bytes) -> bytes | None:
        """Return the bytes that are sent today for the message at `position`; None where nobody can tell."""
        entry = entry_in_force(self._entries, position)
        if entry is None or is_layout_of(entry, self._codec):
            return payload
        try:
            return self._codec.encode_message(self.read(position, payload))
        except NanobusError:
            return None

    def translation(self, start: int) -> Translation | None:
        """Return `translate`, or None where all from position `start` on has the layout of today."""
        return self.translate if own_layout_since(self._codec, self._entries) > start else None


def message_reader_of(entry: MessageEntry, codec: Codec) -> PayloadReader:
    if is_layout_of(entry, codec):
        return codec.decode_payload
    upcast = upcast_of(codec.message_type, entry.fingerprint)
    if upcast is None:
        raise mismatch(entry, codec)
    name = codec.message_type.__qualname__
    read = reader_of(entry.layout)

    def read_message(payload: bytes) -> Any:
        try:
            message = upcast(read(payload))
        except Exception as error:
            raise DecodeError(
                f"{len(payload)} bytes of layout {entry.fingerprint} cannot become a {name} "
                f"(id {entry.id}): {type(error).__qualname__}: {error}"
            ) from error
        if type(message) is not codec.message_type:
            raise DecodeError(f"the upcast from {entry.fingerprint} must return a {name}, got {message!r}")
        if codec.fixed_size:  # a Record: all receivers get this one, so it is read-only as any received record is
            return codec.decode_payload(codec.encode_message(message))
        return message

    return read_message
