"""What handlers are known to have sent because of a message: slots with a cause."""
cimport cython
from libc.stdint cimport uint16_t, uint64_t

from nanobus.bus.base cimport BusReader, Slot
from nanobus.dispatch.playback cimport Playback


@cython.final
cdef class Effects(Playback):
    """Finds what some sources sent because of messages at or behind a position.

    Parameters
    ----------
    reader : BusReader
        Where to begin; closed at the end.
    end : int
        Position before which to stop.
    sources : iterable of int
    first_cause : int
        Position of the first message whose effects count.

    Notes
    -----
    Used by one thread. The effects of one handler come in the order of their causes, as its worker handles one message
    after the other and its outbox keeps the order; those of a handler in shards do so shard by shard.
    """

    def __cinit__(self, BusReader reader not None, uint64_t end, sources, uint64_t first_cause):
        self.begin(reader, end)
        self.first_cause = first_cause
        for source in sources:
            self.chosen[<uint16_t> source] = 1

    cdef bint wants(self, Slot *slot) noexcept nogil:
        return (
            self.chosen[slot.header.source] and slot.header.cause != 0
            and cause_position(slot) >= self.first_cause
        )
