from nanobus.memory.mapping cimport Mapping


cdef class GrowingMapping(Mapping):
    """A mapping that grows. `grow` may move it: every pointer into it is void afterwards."""
    cdef int grow(self, size_t size) noexcept nogil         # 0, or errno; contents are kept
    cdef int enlarge(self, size_t wanted) noexcept nogil    # the same, to whole pages, under `guard`; by the subclass
    cdef object origin(self)                                # of the bytes: a path, or None


cdef class GrowableMapping(GrowingMapping):
    pass
