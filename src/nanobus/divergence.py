"""What to say where a replayed handler sends something else than the record holds."""

from __future__ import annotations

from collections.abc import Sequence

from nanobus.bus.base import Bus
from nanobus.bus.codec import Codec, codecs_of_id, find_codec
from nanobus.errors import DivergenceError, NanobusError
from nanobus.routing import Worker, source_id

Sent = tuple[int, bytes] | None
Difference = tuple[int, int, Sent, Sent]


class CodecsAtHand:
    """Decodes what is on a bus by the classes that a messenger's tables speak of, and by those that were declared."""

    def __init__(self, workers: Sequence[Worker]) -> None:
        routed = [message for worker in workers for _, message in worker.routes]
        handled = [message for worker in workers for handler in worker.handlers for message in handler.receives]
        self._codecs = {codec.message_id: codec for codec in map(find_codec, [*routed, *handled])}

    def find(self, message_id: int) -> Codec | None:
        """Return the codec of an id; None where there is none, or where several classes have it and no table one."""
        if message_id in self._codecs:
            return self._codecs[message_id]
        declared = codecs_of_id(message_id)
        return declared[0] if len(declared) == 1 else None

    def decode(self, sent: Sent) -> object:
        """Return the message, or its bytes where nobody can decode them; None for None."""
        if sent is None:
            return None
        message_id, payload = sent
        codec = self.find(message_id)
        try:
            return payload if codec is None else codec.decode_payload(payload)
        except NanobusError:
            return payload


def divergence_error(difference: Difference, workers: Sequence[Worker], journal: Bus) -> DivergenceError:
    """Return the error that tells of a difference, with its messages decoded."""
    position, source, expected, actual = difference
    codecs = CodecsAtHand(workers)
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
