"""One segment, as far as a handle has it mapped. On structs; the layout is told in layout.pxd."""
from libc.errno cimport EEXIST, ENODATA, ENOENT
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from nanobus.bus.claims cimport Claims
from nanobus.bus.control cimport BYTE_ORDER_MARK, ControlBlock
from nanobus.core.atomics cimport load_acquire
from nanobus.core.clock cimport unix_ns
from nanobus.core.crc32c cimport crc32c
from nanobus.core.layout cimport SLOT_HEADER_SIZE, SlotHeader
from nanobus.core.steps cimport step
from nanobus.journal.layout cimport CHUNK_SIZE, JOURNAL_VERSION, SEGMENT_HEADER_SIZE, SegmentHeader, journal_block
from nanobus.journal.store cimport SegmentStore
from nanobus.memory.file cimport close_window, open_window, widen_window
from nanobus.memory.platform cimport file_size, fill_holes

cdef uint64_t SEGMENT_MAGIC = 0x746D6765732D6E1A        # in the file: 0x1A, "n-segmt"


cdef void forget_segment(Segment *segment, uint64_t size) noexcept nogil:
    memset(segment, 0, sizeof(Segment))
    segment.size = size


cdef void leave_segment(Segment *segment) noexcept nogil:
    close_window(&segment.window)
    forget_segment(segment, segment.size)


cdef int enter_segment(Segment *segment, SegmentStore store, const ControlBlock *control,
                       uint64_t position) noexcept nogil:
    cdef uint64_t base = position & ~(segment.size - 1)
    cdef int error
    if segment.mapped_end and segment.base == base:
        return 0
    leave_segment(segment)
    error = store.open_segment(base)
    if error < 0:
        return -error
    error = open_window(&segment.window, error, SEGMENT_HEADER_SIZE, SEGMENT_HEADER_SIZE + segment.size)
    if error:
        return SEGMENT_FOREIGN if error == ENODATA else error       # shorter than a header
    segment.base = base
    note_window(segment)
    if not is_header_of(<SegmentHeader *> segment.window.address, control, base):
        leave_segment(segment)
        return SEGMENT_FOREIGN
    return 0


cdef int claim_segment(Segment *segment, SegmentStore store, const ControlBlock *control, uint64_t position,
                       uint64_t end) noexcept nogil:
    cdef SegmentHeader header
    cdef size_t wanted
    cdef uint64_t base = position & ~(segment.size - 1)
    cdef bint is_here = segment.mapped_end and segment.base == base
    cdef int error = enter_segment(segment, store, control, position)
    if error == ENOENT and position != base:
        return SEGMENT_MISSING                              # somebody wrote there already
    if error == ENOENT:
        write_header(&header, control, base)
        error = store.create_segment(&header, min(segment.size, <uint64_t> CHUNK_SIZE))
        if error and error != EEXIST:
            return error
        if base < load_acquire(&journal_block(<ControlBlock *> control).tail):
            store.remove_segment(base)                      # retention took it while this thread was about to claim
            return ENOENT
        error = enter_segment(segment, store, control, position)
    if not error and not is_here:
        error = fill_holes(segment.window.descriptor, segment.window.size)      # a copy may have some
    if error or end <= segment.mapped_end:
        return error
    wanted = (end - segment.base + CHUNK_SIZE - 1) & ~<size_t> (CHUNK_SIZE - 1)
    wanted = min(wanted, <size_t> segment.size)
    step()
    error = widen_window(
        &segment.window, SEGMENT_HEADER_SIZE + wanted, SEGMENT_HEADER_SIZE + segment.size, True
    )
    step()
    note_window(segment)
    return error


cdef int reach(Segment *segment, uint64_t end) noexcept nogil:
    cdef int64_t length
    cdef int error
    if end <= segment.mapped_end:
        return 0
    if end > segment.base + segment.size:
        return SEGMENT_SHORT
    length = min(file_size(segment.window.descriptor), <int64_t> (SEGMENT_HEADER_SIZE + segment.size))
    if length < <int64_t> (SEGMENT_HEADER_SIZE + end - segment.base):
        return SEGMENT_SHORT
    error = widen_window(&segment.window, length, SEGMENT_HEADER_SIZE + segment.size, False)    # all there is
    note_window(segment)
    return error


cdef SlotHeader *slot_in_place(const Claims *claims, uint64_t position) noexcept nogil:
    cdef Segment *segment = <Segment *> claims.place
    if reach(segment, position + SLOT_HEADER_SIZE) or not is_inside(segment, position):
        return NULL
    return slot_in(segment, position)


cdef void note_window(Segment *segment) noexcept nogil:
    segment.origin = <uint64_t> segment.window.address + SEGMENT_HEADER_SIZE - segment.base
    segment.mapped_end = segment.base + segment.window.size - SEGMENT_HEADER_SIZE


cdef void write_header(SegmentHeader *header, const ControlBlock *control, uint64_t base) noexcept nogil:
    memset(header, 0, sizeof(SegmentHeader))
    header.magic = SEGMENT_MAGIC
    header.version = JOURNAL_VERSION
    header.byte_order = BYTE_ORDER_MARK
    header.key = control.key
    header.segment_size = control.capacity
    header.base = base
    header.created = unix_ns()
    header.crc32c = header_checksum(header)


cdef bint is_header_of(const SegmentHeader *header, const ControlBlock *control, uint64_t base) noexcept nogil:
    return (
        header.magic == SEGMENT_MAGIC and header.version == JOURNAL_VERSION
        and header.byte_order == BYTE_ORDER_MARK and header.key == control.key
        and header.segment_size == control.capacity and header.base == base
        and header.crc32c == header_checksum(header)
    )


cdef uint32_t header_checksum(const SegmentHeader *header) noexcept nogil:
    return crc32c(0, <const uint8_t *> header, sizeof(SegmentHeader) - sizeof(uint32_t))
