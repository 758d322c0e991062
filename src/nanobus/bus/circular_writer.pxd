from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from nanobus.bus.base cimport Bus, BusStatus, Slot
from nanobus.bus.claims cimport Claims
from nanobus.bus.control cimport WriterLine
from nanobus.bus.slot_writer cimport SlotWriter
from nanobus.memory.ring cimport RingMapping


cdef class CircularWriter(SlotWriter):
    cdef RingMapping mapping            # keeps every pointer below alive
    cdef uint8_t *ring
    cdef uint64_t mask
    cdef uint32_t max_payload
    cdef uint32_t section_shift
    cdef int64_t reap_at                # monotonic ns: still no room then is a reason to look for the dead; 0: had room

    cdef BusStatus claim_slowly(self, uint32_t size, Slot *slot) noexcept nogil
    cdef bint find_room(self, uint64_t end) noexcept nogil
    cdef void open_at(self, uint32_t size, uint64_t position, uint64_t end, Slot *slot) noexcept nogil


cdef CircularWriter new_writer(
    Bus bus, RingMapping mapping, const Claims *claims, WriterLine *line, bint fence_after_commit
)
