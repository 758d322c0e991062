from libc.stdint cimport int64_t, uint32_t, uint64_t

from nanobus.bus.base cimport BusReader, BusStatus, Slot


cdef class Playback:
    cdef BusReader reader
    cdef uint64_t end                   # no slot at or past it
    cdef int64_t end_time               # unix ns: no slot at or past the first one of that time; highest i64: none
    cdef bint needs_time                # a wanted slot without a timestamp is an error
    cdef Slot slot                      # the one that `find` found, until it is called again
    cdef bint found
    cdef bint using                     # between `begin_use` and `end_use` of the reader
    cdef uint64_t first
    cdef uint64_t last
    cdef readonly uint64_t messages     # slots read, wanted or not

    cdef int begin(self, BusReader reader, uint64_t end) except -1
    # Whether there is one more slot that `wants` says yes to.
    cdef bint find(self) except -1
    cdef int check_time(self) except -1
    cdef int raise_unreadable(self, BusStatus status) except -1
    cdef bint wants(self, Slot *slot) noexcept nogil
    cdef BusStatus skip(self, uint32_t count) noexcept nogil
