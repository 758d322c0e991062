"""What the messages of a record are to the classes of today, and what to say where a replayed handler sends others."""

from __future__ import annotations

from collections.abc import Sequence

from nanobus.bus.base import Bus
from nanobus.bus.codec import Codec, codecs_of_id, find_codec
from nanobus.errors import DivergenceError, NanobusError, SchemaMismatchError
from nanobus.routing import Worker, source_id
from nanobus.schema import Reading, Schema, Translation, compare

Sent = tuple[int, bytes, int | None] | None
Difference = tuple[int, int, Sent, Sent]


class CodecsAtHand:
    """Reads what is on a bus by the classes that a messenger's tables speak of, and by those that were declared.

    Parameters
    ----------
    workers : sequence of Worker
    schema : Schema
        What the bus says its messages are; empty where it does not.
    """

    def __init__(self, workers: Sequence[Worker], schema: Schema) -> None:
        routed = [message for worker in workers for _, message in worker.routes]
        handled = [message for worker in workers for handler in worker.handlers for message in handler.receives]
        self._codecs = {codec.message_id: codec for codec in map(find_codec, [*routed, *handled])}
        self._schema = schema

    def find(self, message_id: int) -> Codec | None:
        """Return the codec of an id; None where there is none, or where several classes have it and no table one."""
        if message_id in self._codecs:
            return self._codecs[message_id]
        declared = codecs_of_id(message_id)
        return declared[0] if len(declared) == 1 else None

    def translations(self, start: int) -> dict[int, Translation]:
        """Return what makes of recorded payloads those that are sent today, for each id whose layout has changed."""
        ids = {entry.id for entry in self._schema.messages}
        codecs = [codec for codec in map(self.find, ids) if codec is not None]
        found = {codec.message_id: Reading(codec, self._schema).translation(start) for codec in codecs}
        return {one: translation for one, translation in found.items() if translation is not None}

    def decode(self, sent: Sent) -> object:
        """Return the message, or its bytes where nobody can decode them; None for None."""
        if sent is None:
            return None
        message_id, payload, position = sent
        codec = self.find(message_id)
        try:
            if codec is None:
                return payload
            if position is None:
                return codec.decode_payload(payload)
            return Reading(codec, self._schema).read(position, payload)
        except NanobusError:
            return payload

    def mismatch(self, sent: Sent) -> SchemaMismatchError | None:
        """Return why nobody can tell what a recorded message is to the classes of today, if nobody can."""
        if sent is None or sent[2] is None:
            return None
        codec, entry = self.find(sent[0]), self._schema.entry_at(sent[0], sent[2])
        try:
            if codec is not None and entry is not None:
                compare(entry, codec)
        except SchemaMismatchError as error:
            return error
        return None


def divergence_error(
    difference: Difference, workers: Sequence[Worker], codecs: CodecsAtHand, journal: Bus
) -> NanobusError:
    """Return the error that tells of a difference, with its messages decoded.

    It is a SchemaMismatchError where two messages of one id could not be compared.
    """
    position, source, expected, actual = difference
    if expected is not None and actual is not None and expected[0] == actual[0]:
        mismatch = codecs.mismatch(expected)
        if mismatch is not None:
            return mismatch
    handler = next(one for worker in workers for one in worker.handlers if source_id(one) == source)
    cause = journal.read(position)
    codec = None if cause is None else codecs.find(cause.message_id)
    what = "" if codec is None else f" on {codec.message_type.__qualname__}"
    wanted, got = codecs.decode(expected), codecs.decode(actual)
    return DivergenceError(
        f"{handler.__qualname__}{what} at position {position} diverges: the record holds {text_of(expected, wanted)}, "
        f"it sends {text_of(actual, got)}",
        position=position, handler=handler, expected=wanted, actual=got,
    )


def text_of(sent: Sent, message: object) -> str:
    if sent is None:
        return "nothing more"
    return f"message {sent[0]}, {message!r}" if isinstance(message, bytes) else repr(message)
