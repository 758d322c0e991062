from nanobus.bus.base cimport Bus
from nanobus.bus.claims cimport Claims
from nanobus.memory.ring cimport RingMapping


cdef class CircularBus(Bus):
    cdef RingMapping mapping
    cdef readonly size_t capacity       # bytes
    cdef readonly object path           # str or None
    cdef Claims claims
    cdef bint fence_after_commit        # this process cannot be reached by the heavy fence of a parker
