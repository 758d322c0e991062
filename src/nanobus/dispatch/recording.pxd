from libc.stdint cimport uint8_t, uint16_t, uint64_t


cdef class Recording:
    cdef readonly uint64_t sends        # offered by handlers so far
    cdef readonly uint64_t compared
    cdef readonly uint64_t unfinished
    cdef bint spent                     # no later send can concern it: an outlet drops it, a replay ends

    # Whether the send is dealt with, and must not be written. `cause`: position of the message at hand, or NO_CAUSE.
    cdef bint takes(self, uint16_t source, uint16_t message, uint64_t cause, const uint8_t *payload,
                    Py_ssize_t size) except -1
