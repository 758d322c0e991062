from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from nanobus.bus.base cimport BusStatus, BusWriter
from nanobus.memory.growable cimport GrowableMapping

cdef struct Held:
    uint64_t cause                      # position, or NO_CAUSE
    uint32_t size                       # of the payload, which follows, padded to 8
    uint16_t source
    uint16_t message


cdef class Outbox:
    cdef GrowableMapping mapping
    cdef readonly size_t limit          # bytes, entries included
    cdef readonly size_t count          # messages held
    cdef size_t first                   # offset of the oldest entry
    cdef size_t end                     # offset behind the newest
    cdef uint64_t sent_end              # position behind the last message that `flush` sent

    # 0; ENOBUFS past the limit; or the errno of the mapping.
    cdef int push(self, uint16_t source, uint16_t message, uint64_t cause, const uint8_t *payload,
                  uint32_t size) noexcept nogil
    # Of the oldest payload, while the outbox is not empty.
    cdef uint32_t next_size(self) noexcept nogil
    # Send in order until the bus has no more room: BUS_OK if the outbox is empty then, else what the bus said.
    cdef BusStatus flush(self, BusWriter writer) noexcept nogil
