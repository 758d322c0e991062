"""What a worker that resumes at its cursor need not send again, as it is on the bus already."""
cimport cython
from libc.stdint cimport uint8_t, uint16_t, uint64_t

from nanobus.bus.base cimport NO_CAUSE, Bus
from nanobus.dispatch.effects cimport Effects, cause_position
from nanobus.dispatch.recording cimport Recording


@cython.final
cdef class KnownSends(Recording):
    """Takes as many sends of a handler for a message as the bus holds of it; the next ones are written.

    Parameters
    ----------
    bus : Bus
        Read once, from `start` to its head as it is now.
    start : int
        Position at which the worker resumes.
    sources : iterable of int
        Ids of its handlers.
    is_own : callable, optional
        Whether the message at a position is this shard's; None: each one is.

    Attributes
    ----------
    left : int
        Sends on the bus that were not made again yet.

    Notes
    -----
    Used by one thread. The dead worker's sends for a message are the first ones that a deterministic handler makes for
    it, so that a count is enough. Spent once the worker sends because of a message past the head seen here. About 150
    bytes for each message between cursor and head that was answered.
    """
    cdef uint64_t head
    cdef dict counts                    # cause << 16 | source -> sends on the bus

    def __cinit__(self, Bus bus not None, uint64_t start, sources, is_own=None):
        cdef Effects effects
        self.head = bus.head
        self.counts = {}
        effects = Effects(bus.reader(start), self.head, sources, start)
        try:
            while effects.find():
                if is_own is None or is_own(cause_position(&effects.slot)):
                    key = key_of(cause_position(&effects.slot), effects.slot.header.source)
                    self.counts[key] = self.counts.get(key, 0) + 1
        finally:
            effects.close()

    @property
    def left(self):
        return sum(self.counts.values())

    cdef bint takes(self, uint16_t source, uint16_t message, uint64_t cause, const uint8_t *payload,
                    Py_ssize_t size) except -1:
        self.sends += 1
        if cause == NO_CAUSE:
            return False
        if cause >= self.head:
            self.spent = True
            return False
        key = key_of(cause, source)
        count = self.counts.pop(key, 0)
        if count > 1:
            self.counts[key] = count - 1
        return count > 0


cdef object key_of(uint64_t cause, uint16_t source):
    return <object> cause << 16 | source
