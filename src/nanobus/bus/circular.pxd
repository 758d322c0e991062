from nanobus.bus.sharing cimport SharedBus
from nanobus.memory.ring cimport RingMapping


cdef class CircularBus(SharedBus):
    cdef RingMapping mapping
    cdef readonly size_t capacity       # bytes
    cdef readonly object path           # str or None

    cdef int begin(self, RingMapping mapping) except -1
