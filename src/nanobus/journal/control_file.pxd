from libc.stdint cimport uint32_t, uint64_t

from nanobus.bus.control cimport ControlBlock
from nanobus.journal.store cimport SegmentStore
from nanobus.memory.mapping cimport Mapping

# The control block of the journal in `store`, mapped: made if there is none, else checked field by field. Sets `alone`
# to whether nobody else has the journal open; the store is locked accordingly.
cdef Mapping open_control(SegmentStore store, object segment_size, uint32_t flags, uint32_t writers, uint32_t readers,
                          bint *alone)
# What tells this control file from one that a repair puts in its place; 0 in memory.
cdef uint64_t control_number(SegmentStore store) except? 0
# Let others in. False: meanwhile somebody else was in alone, and the control file is no more the one of `number`.
cdef bint share(SegmentStore store, uint64_t number) except -1
cdef ControlBlock *control_of(Mapping mapping) noexcept
cdef int read_boot(uint64_t *boot) except -1

# For those who look at a journal without opening it, or make its control file anew.
cdef int new_control(ControlBlock *control, object segment_size, uint32_t flags, uint32_t writers,
                     uint32_t readers) except -1
cdef uint32_t identity_checksum(const ControlBlock *control)
# Raises CorruptJournalError or JournalVersionError unless these `size` bytes of the file `path` are a control block.
cdef int check_control(const ControlBlock *control, size_t size, str path) except -1
