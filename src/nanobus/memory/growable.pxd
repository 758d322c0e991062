from nanobus.memory.mapping cimport Mapping


cdef class GrowableMapping(Mapping):
    """Anonymous memory that grows. `grow` may move it: every pointer into it is void afterwards."""
    cdef int grow(self, size_t size) noexcept nogil         # 0, or errno; contents are kept
