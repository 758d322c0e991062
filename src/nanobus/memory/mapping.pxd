from libc.stdint cimport uint8_t


cdef class Mapping:
    """A range of mapped bytes. Subclasses map in `__cinit__`; this base exports, closes and unmaps."""
    cdef uint8_t *address               # NULL once closed
    cdef readonly size_t size           # bytes at `address`
    cdef readonly Py_ssize_t exports    # buffers handed out and not yet released
    cdef object __weakref__

    cdef int check_open(self) except -1
    cdef int check_no_exports(self, str wanted) except -1   # BufferError: "cannot <wanted> while ..."


cdef class AnonymousMapping(Mapping):
    pass
