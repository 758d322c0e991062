from libc.stdint cimport uint64_t

from nanobus.core.mutex cimport Mutex
from nanobus.journal.layout cimport SegmentHeader


cdef struct Held:
    uint64_t base
    int descriptor


cdef class SegmentStore:
    """Where the segments of one journal are: files in a folder, or anonymous memory. Descriptors are the caller's."""
    cdef readonly str path              # of the folder, absolute; None: in memory
    cdef int folder                     # -1: in memory, or closed
    cdef int gatekeeper                 # the file whose lock says who has the journal open; -1 likewise
    cdef Mutex guard                    # of the three below
    cdef Held *held                     # in memory: what there is, in no order
    cdef size_t held_count
    cdef size_t held_room

    # A descriptor or -errno; -ENOENT: there is no such segment.
    cdef int open_segment(self, uint64_t base) noexcept nogil
    # 0 or errno, EEXIST where there is one; with `size` bytes after the header. It appears complete or not at all.
    cdef int create_segment(self, const SegmentHeader *header, size_t size) noexcept nogil
    cdef int create_held(self, const SegmentHeader *header, size_t size) noexcept nogil
    cdef int remove_segment(self, uint64_t base) noexcept nogil
    # 0 or errno; `refused`: it was the disk that said so.
    cdef int sync_segment(self, uint64_t base, bint *refused) noexcept nogil
    cdef int sync_names(self, bint *refused) noexcept nogil
    cdef int sync_names_or_raise(self) except -1
    cdef list bases(self)
    cdef list held_bases(self)
    cdef bint lock(self, bint alone) except -1
    cdef void unlock(self) noexcept
    cdef void close(self) noexcept
