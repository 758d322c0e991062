"""What a worker could not send yet, in order: no handler waits for room, so a full ring never stops its readers."""
cimport cython
from libc.errno cimport ENOBUFS
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy, memmove

from nanobus.bus.base cimport BUS_OK, BusStatus, BusWriter, Slot
from nanobus.core.layout cimport relative_cause, slot_length
from nanobus.core.steps cimport step
from nanobus.memory.growable cimport GrowableMapping


cdef enum:
    FIRST_SIZE = 65536


@cython.final
cdef class Outbox:
    """A queue of encoded messages in memory of its own that grows up to a limit.

    Parameters
    ----------
    limit : int
        Bytes, 16 of which go to each message besides its payload.

    Notes
    -----
    Used by one thread.
    """

    def __cinit__(self, size_t limit):
        self.limit = limit
        self.mapping = GrowableMapping(min(limit, <size_t> FIRST_SIZE))

    cdef int push(self, uint16_t source, uint16_t message, uint64_t cause, const uint8_t *payload,
                  uint32_t size) noexcept nogil:
        cdef size_t length = sizeof(Held) + ((<size_t> size + 7) & ~<size_t> 7)
        cdef size_t room
        cdef int error
        cdef Held *held
        if self.end - self.first + length > self.limit:
            return ENOBUFS
        if self.end + length > self.mapping.size and self.first >= self.mapping.size // 2:
            memmove(self.mapping.address, self.mapping.address + self.first, self.end - self.first)
            self.end -= self.first
            self.first = 0
        room = self.mapping.size
        while self.end + length > room:
            room *= 2
        if room > self.mapping.size:
            error = self.mapping.grow(room)
            if error:
                return error
        held = <Held *> (self.mapping.address + self.end)
        held.cause = cause
        held.size = size
        held.source = source
        held.message = message
        memcpy(held + 1, payload, size)
        self.end += length
        self.count += 1
        return 0

    cdef uint32_t next_size(self) noexcept nogil:
        return (<Held *> (self.mapping.address + self.first)).size

    cdef BusStatus flush(self, BusWriter writer) noexcept nogil:
        cdef BusStatus status
        cdef Held *held
        cdef Slot slot
        while self.count:
            held = <Held *> (self.mapping.address + self.first)
            status = writer.claim(held.size, &slot)
            if status != BUS_OK:
                return status
            slot.header.source = held.source
            slot.header.message = held.message
            slot.header.cause = relative_cause(slot.position, held.cause)
            memcpy(slot.payload, held + 1, held.size)
            step()
            writer.commit(&slot)
            step()
            self.sent_end = slot.position + slot_length(held.size)
            self.first += sizeof(Held) + ((<size_t> held.size + 7) & ~<size_t> 7)
            self.count -= 1
        self.first = self.end = 0
        return BUS_OK
