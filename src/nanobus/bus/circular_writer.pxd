from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from nanobus.bus.base cimport Bus, BusStatus, BusWriter, Slot
from nanobus.bus.claims cimport Claims
from nanobus.bus.control cimport ControlBlock, WriterLine
from nanobus.memory.ring cimport RingMapping


cdef class CircularWriter(BusWriter):
    cdef RingMapping mapping            # keeps every pointer below alive
    cdef Claims claims
    cdef ControlBlock *control
    cdef WriterLine *line
    cdef uint8_t *ring
    cdef uint64_t mask
    cdef uint64_t key
    cdef uint32_t max_payload
    cdef uint32_t section_shift
    cdef int64_t reap_at                # monotonic ns: still no room then is a reason to look for the dead; 0: had room
    cdef bint commits_slowly            # timestamps or checksums are written at commit, or a full fence follows it
    cdef bint fence_after_commit        # this process cannot be reached by the heavy fence of a parker

    cdef BusStatus claim_slowly(self, uint32_t size, Slot *slot) noexcept nogil
    cdef bint find_room(self, uint64_t end) noexcept nogil
    cdef void open_slot(self, uint32_t size, uint64_t position, uint64_t end, Slot *slot) noexcept nogil
    cdef void commit_slowly(self, Slot *slot) noexcept nogil
    cdef void publish(self, Slot *slot) noexcept nogil


cdef CircularWriter new_writer(
    Bus bus, RingMapping mapping, const Claims *claims, WriterLine *line, bint fence_after_commit
)
