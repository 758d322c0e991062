"""What a reader hands to Python: an Envelope, which owns its bytes, or a Gap, where bytes are gone."""
cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport UINT64_MAX, uint64_t

from nanobus.core cimport layout
from nanobus.core.layout cimport SLOT_ALIGNMENT, SlotHeader

from nanobus.bus.codec import find_codec
from nanobus.errors import DecodeError

FIRST_LIBRARY_ID = layout.FIRST_LIBRARY_ID      # messages with an id from here on are nanobus's own
TIMER_ID = layout.TIMER_ID


@cython.final
@cython.freelist(64)
cdef class Envelope:
    """A slot, copied out of the bus: header and payload.

    Attributes
    ----------
    position : int
        Byte offset of the slot in the log.
    source, message_id : int
        Who sent it, and which message it is.
    timestamp : int
        Unix nanoseconds at commit; 0 on a bus that writes none.
    cause : int or None
        Position of the message that was being handled when this one was sent.
    payload : bytes
        Owned by this object.

    Notes
    -----
    Immutable, made by readers only.
    """

    def __init__(self):
        raise TypeError("an Envelope comes from a reader, it cannot be made")

    @property
    def cause(self):
        return self.position - self.relative_cause * SLOT_ALIGNMENT if self.relative_cause else None

    def decode(self, message_type):
        """Decode the payload as `message_type`.

        Raises
        ------
        DecodeError
            The envelope carries another message id, or the codec refuses the bytes.
        MessageError
            `message_type` was never declared.
        """
        codec = find_codec(message_type)
        if codec.message_id != self.message_id:
            raise DecodeError(
                f"the envelope at {self.position} holds message {self.message_id}, "
                f"{message_type.__qualname__} is {codec.message_id}"
            )
        return codec.decode_payload(self.payload)

    def __repr__(self):
        return (
            f"Envelope(position={self.position}, source={self.source}, message_id={self.message_id}, "
            f"timestamp={self.timestamp}, cause={self.cause}, payload=<{len(self.payload)} bytes>)"
        )


@cython.final
cdef class Gap:
    """Messages a reader can never see, because writers overtook it.

    Attributes
    ----------
    first_lost : int
        Position of the first message that was lost.
    resumed_at : int
        Position at which the reader goes on: `first_lost <= lost positions < resumed_at`.
    """

    def __init__(self, uint64_t first_lost, uint64_t resumed_at):
        self.first_lost = first_lost
        self.resumed_at = resumed_at

    def __eq__(self, other):
        if not isinstance(other, Gap):
            return NotImplemented
        return self.first_lost == (<Gap> other).first_lost and self.resumed_at == (<Gap> other).resumed_at

    def __hash__(self):
        return hash((Gap, self.first_lost, self.resumed_at))

    def __repr__(self):
        return f"Gap(first_lost={self.first_lost}, resumed_at={self.resumed_at})"


cdef Envelope envelope_of(uint64_t position, const SlotHeader *header, const void *payload):
    cdef Envelope envelope = Envelope.__new__(Envelope)
    envelope.position = position
    envelope.source = header.source
    envelope.message_id = header.message
    envelope.timestamp = header.timestamp
    envelope.relative_cause = header.cause
    envelope.payload = PyBytes_FromStringAndSize(<const char *> payload, header.size)
    return envelope


cdef uint64_t cause_of(object cause) except? 0:
    if not isinstance(cause, int):
        raise TypeError(f"cause must be a position or None, got {cause!r}")
    if not 0 <= cause <= UINT64_MAX:
        raise ValueError(f"cause must be a position >= 0 or None, got {cause!r}")
    return cause
