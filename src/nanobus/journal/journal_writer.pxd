from libc.stdint cimport uint32_t, uint64_t

from nanobus.bus.base cimport Bus, BusStatus, Slot
from nanobus.bus.claims cimport Claims
from nanobus.bus.control cimport WriterLine
from nanobus.bus.slot_writer cimport SlotWriter
from nanobus.journal.segment cimport Segment
from nanobus.journal.store cimport SegmentStore


cdef class JournalWriter(SlotWriter):
    cdef object memory                  # keeps the control block mapped
    cdef SegmentStore store
    cdef Segment segment                # where this writer claimed last
    cdef uint32_t max_payload
    cdef int failure                    # after BUS_FAILED: an errno or a Damage ...
    cdef uint64_t failed_at             # ... and the position
    cdef const uint64_t *sync_error     # the journal's, where its refusal ends what this writer promises; else ...
    cdef uint64_t never_refused         # ... 0

    cdef BusStatus claim_slowly(self, uint32_t size, Slot *slot) noexcept nogil
    cdef bint reach(self, uint64_t position, uint64_t end) noexcept nogil
    cdef bint win(self, uint64_t *position, uint64_t end) noexcept nogil
    cdef void fill_up(self, uint64_t position, uint64_t end) noexcept nogil


cdef JournalWriter new_writer(
    Bus bus, object memory, SegmentStore store, const Claims *claims, WriterLine *line, bint fence_after_commit,
    str sync_policy
)
