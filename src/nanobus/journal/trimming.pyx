"""Retention; the protocol is told in trimming.pxd."""
from libc.stdint cimport int64_t, uint64_t

from nanobus.bus.claims cimport Claims, gate
from nanobus.bus.control cimport ControlBlock
from nanobus.core.atomics cimport fence_full, load_acquire, store_release, swap_if_equal
from nanobus.core.clock cimport unix_ns
from nanobus.core.layout cimport PADDING_ID, SLOT_HEADER_SIZE, SlotHeader, slot_length, stamp_of
from nanobus.core.steps cimport step
from nanobus.journal.cursors cimport lowest_cursor
from nanobus.journal.layout cimport JournalBlock, journal_block
from nanobus.journal.segment cimport Segment, enter_segment, forget_segment, leave_segment, reach, slot_in
from nanobus.journal.store cimport SegmentStore


cdef int trim(Claims *claims, SegmentStore store, object retention, list bases, bint synced) except -1:
    cdef JournalBlock *block = journal_block(claims.control)
    cdef uint64_t head = load_acquire(&claims.control.head)
    cdef uint64_t tail = load_acquire(&block.tail)
    cdef uint64_t wanted = first_to_keep(claims, store, retention, [base for base in bases if base <= head])
    cdef uint64_t needed = min(gate(claims), lowest_cursor(claims))
    cdef int removed = 0
    cdef bint refused = False
    wanted = min(wanted, needed & ~(claims.section - 1))
    if store.path is not None and synced:
        wanted = min(wanted, load_acquire(&block.durable) & ~(claims.section - 1))
    while tail < wanted and not swap_if_equal(&block.tail, &tail, wanted):
        pass
    step()
    tail = load_acquire(&block.tail)
    while load_acquire(&block.tail_check) != tail ^ claims.control.key:     # others may move it on meanwhile
        store_release(&block.tail_check, tail ^ claims.control.key)
        tail = load_acquire(&block.tail)
    step()
    fence_full()                                            # pairs with the one in keep_place
    needed = min(gate(claims), lowest_cursor(claims))
    tail = load_acquire(&block.tail)
    for base in bases:
        if base + claims.section <= min(tail, needed):
            removed += store.remove_segment(base) == 0
            step()
    if not synced:
        store.sync_names(&refused)                          # before anything more is promised
    return removed


cdef uint64_t first_to_keep(Claims *claims, SegmentStore store, object retention, list bases) except? 0:
    """Base of the oldest segment that the rules keep; the last one always is."""
    cdef int64_t now = unix_ns()
    kept = list(bases)
    while len(kept) > 1 and (
        retention.count is not None and len(kept) > retention.count
        or retention.size is not None and len(kept) * claims.section > retention.size
        or retention.age is not None and now - first_time(claims, store, kept[1:]) > retention.age_ns
    ):
        kept.pop(0)
    return kept[0] if kept else 0


cdef int64_t first_time(Claims *claims, SegmentStore store, list bases) except? -1:
    """When the first message of these segments was written, after all of those before (unix ns); now, where there is
    none."""
    cdef Segment segment
    cdef int64_t when = 0
    forget_segment(&segment, claims.section)
    for base in bases:                                      # some hold only padding, or are damaged
        if enter_segment(&segment, store, claims.control, base) == 0:
            when = first_timestamp(&segment, claims.control)
        if when:
            break
    leave_segment(&segment)
    return when or unix_ns()


cdef int64_t first_timestamp(Segment *segment, const ControlBlock *control) noexcept nogil:
    cdef uint64_t position = segment.base
    cdef SlotHeader *header
    while reach(segment, position + SLOT_HEADER_SIZE) == 0:
        header = slot_in(segment, position)
        if load_acquire(&header.stamp) != stamp_of(position, control.key):
            break
        if header.message != PADDING_ID:
            return header.timestamp
        position += slot_length(header.size)
    return 0
