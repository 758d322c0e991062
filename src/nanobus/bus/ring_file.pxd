from libc.stdint cimport uint32_t

from nanobus.memory.ring cimport RingMapping

cdef size_t control_size_for(uint32_t writers, uint32_t readers)
# Write the control block of a new ring, whose bytes are zero and which nobody else can see yet.
cdef int write_control(RingMapping mapping, uint32_t flags, uint32_t writers, uint32_t readers) except -1
# Map the ring at `path` once every field of its control block has been checked; None if it is gone meanwhile.
cdef RingMapping attach(str path, object capacity)
# Map the ring behind a descriptor that a parent process handed down, checked alike; `path` is its name, or None.
cdef RingMapping inherit(int descriptor, object path)
