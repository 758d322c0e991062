from libc.stdint cimport int64_t, uint32_t, uint64_t

from nanobus.bus.base cimport Bus, BusReader, BusStatus, Slot
from nanobus.bus.claims cimport Claims, Stall
from nanobus.bus.control cimport ControlBlock, ReaderLine
from nanobus.bus.forking cimport Tie
from nanobus.journal.layout cimport JournalCursor
from nanobus.journal.segment cimport Segment
from nanobus.journal.store cimport SegmentStore


cdef class JournalReader(BusReader):
    cdef object memory                  # keeps the control block mapped
    cdef SegmentStore store
    cdef Claims claims
    cdef ControlBlock *control
    cdef ReaderLine *line               # &own_line for a probe
    cdef ReaderLine own_line
    cdef Tie tie
    cdef JournalCursor *named           # NULL: a reader without a name
    cdef Segment segment
    cdef uint64_t key
    cdef uint64_t next                  # where `advance` goes
    cdef Stall stall                    # the uncommitted slot that was looked at last
    cdef bint careful                   # checksums are compared
    cdef int failure                    # after BUS_FAILED: an errno or a Damage ...
    cdef uint64_t failed_at             # ... and the position

    # Let go of the line without freeing it; NULL: it is closed.
    cdef ReaderLine *lend_line(self)
    cdef BusStatus fail(self, int failure, uint64_t position) noexcept nogil
    cdef BusStatus follow(self, uint64_t end) noexcept nogil
    cdef BusStatus peek_slowly(self, Slot *slot) noexcept nogil
    cdef BusStatus look_again(self) noexcept nogil
    cdef BusStatus look_closely(self, Slot *slot) noexcept nogil
    cdef bint starts_message(self, uint64_t position) noexcept nogil
    cdef bint is_padded(self, uint64_t position) noexcept nogil
    cdef int place(self, object start, bint gate, object lag_limit) except -1
    cdef uint64_t keep_place(self, uint64_t position) noexcept nogil
    cdef uint64_t find_time(self, int64_t time) noexcept nogil


cdef JournalReader new_reader(Bus bus, object memory, SegmentStore store, const Claims *claims)
# One that goes on where `line` stands, which belongs to this process.
cdef JournalReader new_adopted_reader(
    Bus bus, object memory, SegmentStore store, const Claims *claims, ReaderLine *line
)
