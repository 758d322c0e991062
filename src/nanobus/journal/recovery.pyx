"""Putting a journal right; the rules are told in recovery.pxd."""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from nanobus.bus.claims cimport Claims, release_reader_line, release_writer_line, settle
from nanobus.bus.control cimport CHECKSUM, ControlBlock, ReaderLine, WriterLine
from nanobus.core.atomics cimport load_acquire, store_release
from nanobus.core.layout cimport PADDING_ID, SLOT_HEADER_SIZE, SlotHeader, slot_checksum, slot_length, stamp_of
from nanobus.journal.control_file cimport read_boot
from nanobus.journal.layout cimport (
    CURSOR_COUNT, SEGMENT_HEADER_SIZE, JournalBlock, JournalCursor, journal_block, journal_cursors
)
from nanobus.journal.seeking cimport Seeker, begin_seeking, end_seeking
from nanobus.journal.segment cimport Segment, enter_segment, forget_segment, leave_segment, reach, segment_end, slot_in
from nanobus.journal.store cimport SegmentStore
from nanobus.memory.platform cimport close_file

import os

from nanobus.errors import CorruptJournalError
from nanobus.journal.reports import Recovery

# No process has this name: a pid above every limit, and a start time no process is given.
cdef uint64_t DEAD_OWNER = (<uint64_t> 2 << 22) | 0x3FFFFF


cdef object recover(const Claims *claims, SegmentStore store):
    cdef ControlBlock *control = claims.control
    cdef JournalBlock *block = journal_block(control)
    cdef uint64_t boot[2]
    cdef uint64_t head_before = load_acquire(&control.head)
    cdef uint64_t sealed_before = control.sealed
    cdef uint64_t durable = trusted_durable(control)
    cdef bint rebooted
    read_boot(boot)
    rebooted = block.boot[0] != boot[0] or block.boot[1] != boot[1]
    is_new = block.boot[0] == 0 and block.boot[1] == 0 and head_before == 0
    for name in store.leftovers():
        store.discard(name)
    unclean = has_lines(claims)
    bases = keep_from_tail(store, block, head_before)
    if rebooted and not is_new:
        end = sound_end(claims, store, max(durable, <uint64_t> block.tail), True)
        clear_lines(claims)
        cut = cut_at(claims, store, end, bases)
        durable = end
    else:
        if unclean:
            seal_claims(claims, store)
        clear_lines(claims)
        cut = 0
        end = proven_head(claims, store, bases, head_before)
    bring_cursors(control, block.tail, end)
    store_release(&block.sync_error, 0)
    store_release(&block.syncing, 0)
    store_release(&control.head, end)
    store_release(&block.durable, min(durable, <uint64_t> end))
    store_release(&block.durable_check, block.durable ^ control.key)
    block.boot[0] = boot[0]
    block.boot[1] = boot[1]
    sealed = control.sealed - sealed_before
    reason = "new" if is_new else "reboot" if rebooted else "crash" if unclean else "clean"
    lost = max(cut, head_before - end if head_before > end else 0)
    return Recovery(reason=reason, head=end, sealed=sealed, cut_from=end if lost else None, cut_bytes=lost)


cdef uint64_t trusted_durable(ControlBlock *control):
    cdef JournalBlock *block = journal_block(control)
    return block.durable if block.durable_check == block.durable ^ control.key else block.tail


cdef bint has_lines(const Claims *claims):
    cdef uint32_t index
    for index in range(claims.control.writer_lines):
        if claims.writers[index].owner or claims.writers[index].intent_length:
            return True
    for index in range(claims.control.reader_lines):
        if claims.readers[index].owner:
            return True
    return False


cdef list keep_from_tail(SegmentStore store, JournalBlock *block, uint64_t head):
    """Finish a removal that was interrupted; return what is left."""
    bases = store.bases()
    if not bases:
        if head:
            raise CorruptJournalError(f"{store.path!r} has no segments, and its head is at {head}", position=0)
        block.tail = 0
        return bases
    if block.tail not in bases:
        store_release(&block.tail, bases[0])
    for base in bases:
        if base < block.tail:
            store.remove_segment(base)
    return [base for base in bases if base >= block.tail]


cdef int seal_claims(const Claims *claims, SegmentStore store) except -1:
    cdef Seeker seeker
    cdef Claims own
    cdef uint64_t sealing = 0
    cdef uint32_t index
    for index in range(claims.control.writer_lines):
        if claims.writers[index].intent_length:
            store_release(&claims.writers[index].owner, DEAD_OWNER)
    claims.control.writers_used = claims.control.writer_lines
    with nogil:
        begin_seeking(&seeker, &own, claims, store)
        for index in range(claims.control.writer_lines):
            if load_acquire(&claims.writers[index].intent_length):
                settle(&own, load_acquire(&claims.writers[index].intent_position), &sealing)
        end_seeking(&seeker)
    return 0


cdef int clear_lines(const Claims *claims) except -1:
    cdef uint32_t index
    for index in range(claims.control.writer_lines):
        release_writer_line(<Claims *> claims, &claims.writers[index])
        memset(&claims.writers[index], 0, sizeof(WriterLine))
    for index in range(claims.control.reader_lines):
        release_reader_line(&claims.readers[index])
        memset(&claims.readers[index], 0, sizeof(ReaderLine))
    claims.control.writers_used = claims.control.readers_used = 0
    return 0


cdef uint64_t sound_end(const Claims *claims, SegmentStore store, uint64_t start, bint checked) noexcept nogil:
    """Where the chain of sound slots from `start` on ends; `checked`: their checksums are compared."""
    cdef Segment segment
    cdef SlotHeader *header
    cdef uint64_t position = start, end
    cdef ControlBlock *control = claims.control
    forget_segment(&segment, claims.section)
    while enter_segment(&segment, store, control, position) == 0:
        if reach(&segment, position + SLOT_HEADER_SIZE):
            break
        header = slot_in(&segment, position)
        if load_acquire(&header.stamp) != stamp_of(position, control.key):
            break
        end = position + slot_length(header.size)
        if end > segment_end(position, claims.section):
            break
        if header.message != PADDING_ID:
            if reach(&segment, end):
                break
            header = slot_in(&segment, position)
            if checked and control.flags & CHECKSUM and slot_checksum(header) != header.crc32c:
                break
        position = end
    leave_segment(&segment)
    return position


cdef uint64_t proven_head(const Claims *claims, SegmentStore store, list bases, uint64_t head) except? 0:
    """The head, unless the segments contradict it: then the end of what they hold."""
    cdef uint64_t end
    if not bases:
        return head
    start = max([base for base in bases if base <= head] or bases[:1])
    end = sound_end(claims, store, start, False)
    if end >= head or head % 32 or head > segment_end(bases[len(bases) - 1], claims.section):
        return end
    return head                                         # damage in between: readers are told where it is


cdef uint64_t cut_at(const Claims *claims, SegmentStore store, uint64_t end, list bases) except? 0:
    """Make everything from `end` on zero or gone; return how many bytes of the log that were, at most."""
    cdef uint64_t base = end & ~(claims.section - 1)
    cdef uint64_t behind = 0
    cdef int descriptor
    for later in reversed(bases):                       # from the last: what is left is a prefix at every moment
        if later > base:
            behind = max(behind, segment_end(later, claims.section) - end)
            store.remove_segment(later)
    if base not in bases:
        return behind
    descriptor = store.open_segment(base)
    if descriptor < 0:
        return behind
    try:
        size = os.fstat(descriptor).st_size
        kept = SEGMENT_HEADER_SIZE + end - base
        page = os.sysconf("SC_PAGESIZE")
        if end == base and not has_header(claims, store, base):
            store.remove_segment(base)
        elif kept < size:
            behind = max(behind, written_behind(descriptor, kept, size))
            os.ftruncate(descriptor, kept)
            os.posix_fallocate(descriptor, 0, max(size, -(-kept // page) * page))
            os.fsync(descriptor)
    finally:
        close_file(descriptor)
    store.sync_names()
    return behind


cdef bint has_header(const Claims *claims, SegmentStore store, uint64_t base):
    cdef Segment segment
    forget_segment(&segment, claims.section)
    found = enter_segment(&segment, store, claims.control, base) == 0
    leave_segment(&segment)
    return found


def written_behind(descriptor, start, size):
    """Bytes between `start` and the last one in the file that is not zero."""
    at, end = start, start
    while at < size:
        chunk = os.pread(descriptor, min(1 << 20, size - at), at)
        if not chunk:
            break
        if written := len(chunk.rstrip(b"\0")):
            end = at + written
        at += len(chunk)
    return end - start


cdef int bring_cursors(ControlBlock *control, uint64_t tail, uint64_t head) except -1:
    """No cursor points to what is gone, and nobody holds one."""
    cdef JournalCursor *cursors = journal_cursors(control)
    cdef uint32_t index
    for index in range(<uint32_t> CURSOR_COUNT):
        cursors[index].owner = 0
        cursors[index].position = max(tail, min(head, cursors[index].position))
    return 0
