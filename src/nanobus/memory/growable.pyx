"""Private memory that grows, in place where the address space allows it, else by moving."""
from libc.errno cimport EBADF, EBUSY, ENOMEM

from nanobus.memory.mapping cimport Mapping, checked_size, mapping_error
from nanobus.memory.platform cimport map_private, remap_private, round_to_pages


cdef class GrowableMapping(Mapping):
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

    Notes
    -----
    Safe to use from any thread: growing waits for a copy (`read`, `write`) in another thread, and is refused while a
    view is exported.
    """

    def __cinit__(self, size):
        cdef size_t wanted = round_to_pages(checked_size("size", size))
        cdef int error = map_private(&self.address, wanted)
        if error:
            raise mapping_error(error, f"map {wanted} bytes", None)
        self.size = self.mapped = wanted

    def grow_to(self, size):
        """Grow to `size` bytes, rounded up to a multiple of the page size; the mapping never shrinks.

        The bytes so far are kept, the new ones are zero. Costs one system call on Linux, a copy elsewhere.

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
            raise mapping_error(error, f"grow from {self.size} to {wanted} bytes", None)

    cdef int grow(self, size_t size) noexcept nogil:
        cdef size_t wanted = round_to_pages(size)
        cdef int error = 0
        with self.guard:
            if self.address == NULL:
                return EBADF
            if size <= self.size:
                return 0
            if self.exports:
                return EBUSY
            if wanted == 0:
                return ENOMEM
            error = remap_private(&self.address, self.size, wanted)
            if error == 0:
                self.size = self.mapped = wanted
        return error
