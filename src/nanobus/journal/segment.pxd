from libc.errno cimport ENOENT
from libc.stdint cimport uint32_t, uint64_t

from nanobus.bus.claims cimport Claims
from nanobus.bus.control cimport ControlBlock
from nanobus.core.layout cimport SlotHeader
from nanobus.journal.layout cimport SEGMENT_HEADER_SIZE, SegmentHeader
from nanobus.journal.store cimport SegmentStore
from nanobus.memory.file cimport Window

# Why a segment cannot be used, where it is no errno.
cdef enum Damage:
    FIRST_DAMAGE = 10000
    SEGMENT_MISSING = FIRST_DAMAGE      # no file, though the journal's head is past it
    SEGMENT_FOREIGN                     # its header is that of another journal, position or version, or broken
    SEGMENT_SHORT                       # the file ends before a slot that was claimed
    SLOT_DAMAGED                        # no stamp fits where a slot was committed
    SLOT_TOO_LONG                       # its size leaves the segment

cdef struct Segment:
    Window window
    uint64_t base
    uint64_t size                       # positions in it: the journal's segment_size
    uint64_t origin                     # address of position 0, if it were mapped; wraps
    uint64_t mapped_end                 # the first position that is not mapped; 0: no segment is open

cdef void forget_segment(Segment *segment, uint64_t size) noexcept nogil
# Open the segment of `position` and map it as far as its file goes. 0, an errno or a Damage; the one before is closed.
cdef int enter_segment(Segment *segment, SegmentStore store, const ControlBlock *control,
                       uint64_t position) noexcept nogil
# The same, creating it if need be, and map it up to `end` at least, extending the file in chunks.
cdef int claim_segment(Segment *segment, SegmentStore store, const ControlBlock *control, uint64_t position,
                       uint64_t end) noexcept nogil
# Map up to `end`, no further than the file goes.
cdef int reach(Segment *segment, uint64_t end) noexcept nogil
cdef void leave_segment(Segment *segment) noexcept nogil

cdef void write_header(SegmentHeader *header, const ControlBlock *control, uint64_t base) noexcept nogil
cdef bint is_header_of(const SegmentHeader *header, const ControlBlock *control, uint64_t base) noexcept nogil

# The `locate` of a handle whose `place` is its own segment.
cdef SlotHeader *slot_in_place(const Claims *claims, uint64_t position) noexcept nogil

# Whether it is, or an errno that, says what the journal holds, and not what this process may open and map just now.
cdef inline bint tells_of_journal(int error) noexcept nogil:
    return error == 0 or error == ENOENT or error >= FIRST_DAMAGE

cdef inline bint is_inside(const Segment *segment, uint64_t position) noexcept nogil:
    return segment.base <= position < segment.mapped_end

cdef inline SlotHeader *slot_in(const Segment *segment, uint64_t position) noexcept nogil:
    return <SlotHeader *> (segment.origin + position)

cdef inline uint64_t segment_end(uint64_t position, uint64_t size) noexcept nogil:
    return (position & ~(size - 1)) + size
