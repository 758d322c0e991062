"""Mappings that grow, in place where the address space allows it, else by moving; and private memory that does."""
from libc.errno cimport EBADF, EBUSY, ENOMEM

from nanobus.memory.mapping cimport Mapping, checked_size, mapping_error
from nanobus.memory.platform cimport map_private, remap_private, round_to_pages


cdef class GrowingMapping(Mapping):
    """A mapping that can grow. Abstract: make a GrowableMapping or a FileMapping.

    Notes
    -----
    Safe to use from any thread: growing waits for a copy (`read`, `write`) in another thread, and is refused while a
    view is exported.
    """

    def __cinit__(self):
        if type(self) is GrowingMapping:
            raise TypeError("GrowingMapping is abstract: make a GrowableMapping or a FileMapping")

    def grow_to(self, size):
        """Grow to `size` bytes, rounded up to a multiple of the page size; a mapping, and its file, never shrinks.

        The bytes so far are kept, the new ones are zero. Costs no copy on Linux.

        Raises
        ------
        BufferError
            Views of the bytes are exported, and the mapping would have to move.
        MappingError
            The system refused; `errno` says why. The mapping stays as it was.
        BusClosedError
            The mapping is closed.
        """
        cdef size_t wanted = checked_size("size", size)
        cdef int error = EBUSY
        self.check_open()
        while error == EBUSY:
            with nogil:
                error = self.grow(wanted)
            if error == EBUSY:
                self.check_no_exports(f"grow to {wanted} bytes")    # returns if released just now
        if error:
            self.check_open()
            raise mapping_error(error, f"grow from {self.size} to {wanted} bytes", self.origin())

    cdef int grow(self, size_t size) noexcept nogil:
        cdef size_t wanted = round_to_pages(size)
        with self.guard:
            if self.address == NULL:
                return EBADF
            if size <= self.size:
                return 0
            if self.exports:
                return EBUSY
            if wanted == 0:
                return ENOMEM
            return self.enlarge(wanted)

    cdef int enlarge(self, size_t wanted) noexcept nogil:
        return EBADF

    cdef object origin(self):
        return None


cdef class GrowableMapping(GrowingMapping):
    """Private memory of no file, zeroed, that can grow. A forked child gets its own copy.

    Parameters
    ----------
    size : int
        Bytes wanted, at least 1. The mapping, and its `size`, is the next multiple of the page size.

    Raises
    ------
    ValueError
        `size` is below 1.
    MappingError
        The system refused; `errno` says why.
    """

    def __cinit__(self, size):
        cdef size_t wanted = round_to_pages(checked_size("size", size))
        cdef int error = map_private(&self.address, wanted)
        if error:
            raise mapping_error(error, f"map {wanted} bytes", None)
        self.size = self.mapped = wanted

    cdef int enlarge(self, size_t wanted) noexcept nogil:
        cdef int error = remap_private(&self.address, self.size, wanted)
        if error == 0:
            self.size = self.mapped = wanted
        return error
