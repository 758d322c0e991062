from libc.stdint cimport uint8_t, uint64_t

from nanobus.memory.mapping cimport Mapping


cdef class RingMapping(Mapping):
    """`address`: control_size bytes of control block, then the ring, then the same ring once more.

    `ring[i]` and `ring[i + capacity]` are the same byte, so a run of up to `capacity` bytes is contiguous wherever it
    starts. `size` is control_size + capacity: the bytes there really are, and what the buffer protocol exports.
    """
    cdef readonly size_t control_size
    cdef readonly size_t capacity
    cdef readonly bint created          # these bytes are new and zero: whoever made it writes the control block
    cdef readonly object path           # str, or None for anonymous memory
    cdef uint8_t *ring                  # address + control_size
    cdef int descriptor
