from libc.stdint cimport int64_t, uint16_t, uint32_t

from nanobus.bus.base cimport Slot


cdef class Timer:
    cdef object method
    cdef int64_t period                 # ns
    cdef int64_t due                    # monotonic ns
    cdef uint32_t handler
    cdef uint32_t tick[2]               # what its messages carry: its index in its handler, and the shard
    cdef uint32_t tick_size             # bytes: only ticks of shards say whose they are
    cdef uint16_t source
    cdef bint under_way                 # its message is on the bus and was not handled yet

    # Whether the slot is a tick of this timer.
    cdef bint wrote(self, const Slot *slot) noexcept
