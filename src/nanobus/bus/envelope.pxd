from libc.stdint cimport int64_t, uint16_t, uint64_t

from nanobus.core.layout cimport SlotHeader


cdef class Envelope:
    cdef readonly uint64_t position
    cdef readonly uint16_t source
    cdef readonly uint16_t message_id
    cdef readonly int64_t timestamp
    cdef readonly bytes payload
    cdef uint64_t relative_cause


cdef class Gap:
    cdef readonly uint64_t first_lost
    cdef readonly uint64_t resumed_at


cdef Envelope envelope_of(uint64_t position, const SlotHeader *header, const void *payload)
# The position of a cause as an object, checked.
cdef uint64_t cause_of(object cause) except? 0
