from libc.stdint cimport uint64_t

from nanobus.bus.base cimport Bus, BusWriter, Slot
from nanobus.bus.claims cimport Claims
from nanobus.bus.control cimport ControlBlock, WriterLine
from nanobus.bus.forking cimport Tie
from nanobus.core.layout cimport SlotHeader


cdef class SlotWriter(BusWriter):
    """What every writer of a bus with a control block does alike: lines 6 to 9 of the claim protocol in claims.pxd, and
    letting go. A subclass claims: it decides where there is room.
    """
    cdef Claims claims
    cdef ControlBlock *control
    cdef WriterLine *line
    cdef Tie tie
    cdef uint64_t key
    cdef bint commits_slowly            # timestamps or checksums are written at commit, or a full fence follows it
    cdef bint fence_after_commit        # this process cannot be reached by the heavy fence of a parker

    cdef void join(self, Bus bus, const Claims *claims, WriterLine *line, bint fence_after_commit)
    # What a subclass's `__dealloc__` does once it has untied itself, while its pointers are good, if it has a line.
    cdef void leave(self) noexcept
    cdef void commit_slowly(self, Slot *slot) noexcept nogil
    cdef void publish(self, Slot *slot) noexcept nogil


cdef inline void open_slot(Slot *slot, uint64_t position, SlotHeader *header, unsigned int size) noexcept nogil:
    """Fill in what is the same for every message. The caller has had its release fence since the head moved."""
    slot.position = position
    slot.header = header
    slot.payload = <unsigned char *> (header + 1)
    header.size = size
    header.timestamp = 0
    header.crc32c = 0
    header.cause = 0
