from libc.stdint cimport uint8_t

from nanobus.memory.mapping cimport Mapping


cdef class RingMapping(Mapping):
    """`address`: control_size bytes of control block, then the ring, then the same ring once more.

    `ring[i]` and `ring[i + capacity]` are the same byte, so a run of up to `capacity` bytes is contiguous wherever it
    starts. `size` is control_size + capacity: the bytes there really are, and what the buffer protocol exports.
    """
    cdef readonly size_t control_size
    cdef readonly size_t capacity
    cdef readonly bint created          # these bytes are new and zero: whoever made it writes the control block
    cdef readonly str path              # absolute, or None for anonymous memory
    cdef uint8_t *ring                  # address + control_size
    cdef int descriptor                 # of the file behind the bytes; -1 once closed
    cdef bytes temporary                # the new file's name until it is published; None where it needs no name
    cdef int maker                      # the process that may remove `temporary`, a forked child may not; 0 once done
    cdef bint published

    cdef int open_anonymous(self) except -1
    cdef bint attach(self) except -1    # False: there is no such file
    cdef int inherit(self, int descriptor) except -1
    cdef int check_owner(self) except -1
    cdef int check_size(self) except -1
    cdef int open_unpublished(self) except -1
    cdef int allocate_file(self) except -1
    cdef int map_twice(self) noexcept nogil
