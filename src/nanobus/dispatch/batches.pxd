"""Consecutive messages of one kind, copied from the bus, handed to one method as one array.

    slots       Q1  x  Q2  Q3  O4  Q5  ...      x: nobody here listens to it, O4: somebody does
                └───────────┘   ends the batch; so do its size limit, a tick, an empty bus, and the stop
    payloads    Q1 Q2 Q3                        one after the other, as an array of structs has them
    positions   of each

A copy, not a view: it is contiguous, where slots have headers in between, it may be kept, and nobody can write to the
bus through it. The reader's place on the bus is published once the method has returned.
"""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from nanobus.bus.base cimport Slot
from nanobus.dispatch.outlet cimport Outlet
from nanobus.dispatch.recording cimport Recording


cdef class Batch:
    cdef object method
    cdef object make                    # (payloads, positions), both bytearrays -> what the method gets
    cdef Outlet outlet
    cdef Recording refusing             # takes the place of the outlet's where a send could not be made just once
    cdef uint8_t *payloads
    cdef uint64_t *positions
    cdef int64_t timestamp              # of the last one
    cdef readonly uint32_t size         # bytes of each payload
    cdef readonly uint32_t limit        # messages
    cdef uint32_t count

    cdef void add(self, const Slot *slot) noexcept nogil
    # Hand over what was added, in the name of the last of it; raises what the method does.
    cdef int hand_over(self) except -1
    cdef object call(self, object payloads, object positions)
