from libc.stdint cimport uint64_t

# Raise what `code`, an errno or a Damage, means at `position` of the journal at `path`.
cdef int raise_failure_at(str path, int code, uint64_t position) except -1
