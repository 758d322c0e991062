from libc.stdint cimport uint32_t, uint64_t

# What several places refuse, in one wording each.
cdef int raise_too_large(uint32_t max_payload, Py_ssize_t size) except -1
cdef str fill_of(uint64_t head, uint64_t gate)
cdef object checksum_error(uint64_t position)
cdef int check_plain_start(object start) except -1
cdef int check_lag_limit(object lag_limit, object gate) except -1
