"""Putting a journal right; the rules are told in recovery.pxd."""
from libc.stdint cimport uint32_t, uint64_t
from libc.string cimport memset

from nanobus.bus.claims cimport Claims, release_reader_line, release_writer_line, settle
from nanobus.bus.control cimport CHECKSUM, ControlBlock, ReaderLine, WriterLine
from nanobus.core.atomics cimport load_acquire, store_release
from nanobus.core.layout cimport (
    PADDING_ID, SLOT_ALIGNMENT, SLOT_HEADER_SIZE, SlotHeader, slot_checksum, slot_length, stamp_of
)
from nanobus.core.steps cimport step
from nanobus.journal.control_file cimport read_boot
from nanobus.journal.failures cimport raise_failure_at
from nanobus.journal.layout cimport (
    CURSOR_COUNT, SEGMENT_HEADER_SIZE, JournalBlock, JournalCursor, journal_block, journal_cursors
)
from nanobus.journal.seeking cimport Seeker, begin_seeking, end_seeking
from nanobus.journal.segment cimport (
    Segment, enter_segment, forget_segment, leave_segment, reach, segment_end, slot_in, tells_of_journal
)
from nanobus.journal.store cimport SegmentStore
from nanobus.memory.platform cimport close_file, extend, round_to_pages

import os

from nanobus.errors import CorruptJournalError, MappingError
from nanobus.journal.reports import Recovery

# No process has this name: a pid above every limit, and a start time no process is given.
cdef uint64_t DEAD_OWNER = (<uint64_t> 2 << 22) | 0x3FFFFF


cdef object recover(const Claims *claims, SegmentStore store):
    cdef ControlBlock *control = claims.control
    cdef JournalBlock *block = journal_block(control)
    cdef uint64_t boot[2]
    cdef uint64_t head_before = load_acquire(&control.head)
    cdef uint64_t sealed_before = control.sealed
    cdef uint64_t durable = trusted_durable(control)        # at most what is on the disk
    cdef uint64_t refused_before = load_acquire(&block.sync_error)
    cdef uint64_t refused = refused_before
    cdef uint64_t cut = 0, end
    cdef bint rebooted, is_new
    read_boot(boot)
    rebooted = block.boot[0] != boot[0] or block.boot[1] != boot[1]
    is_new = block.boot[0] == 0 and block.boot[1] == 0 and head_before == 0 and not store.bases()
    for name in store.leftovers():
        store.discard(name)
    unclean = has_lines(claims)
    step()
    bases = keep_from_tail(store, control, max(durable, 0 if rebooted else head_before))
    durable = max(durable, <uint64_t> block.tail)
    step()
    if unclean and not rebooted:
        seal_claims(claims, store)
        step()
    clear_lines(claims)
    step()
    if (rebooted or refused) and not is_new:
        end = sound_end(claims, store, durable, True)
        cut = cut_at(claims, store, end, bases)
        if refused and not rebooted:
            refused = write_anew(store, durable, end, claims.section)
        else:
            refused = 0
        if not refused:
            durable = end
    else:
        end = proven_head(claims, store, bases, head_before)
    bring_cursors(control, block.tail, end)
    step()
    store_release(&block.syncing, 0)
    step()
    store_release(&control.head, end)
    step()
    store_release(&block.durable, min(durable, <uint64_t> end))
    step()
    store_release(&block.durable_check, block.durable ^ control.key)
    step()
    store_release(&block.sync_error, refused)               # last of its own, as the boot id is: both lead back here
    step()
    block.boot[0] = boot[0]
    step()
    block.boot[1] = boot[1]
    step()
    sealed = control.sealed - sealed_before
    reason = (
        "new" if is_new else "reboot" if rebooted else "refused" if refused_before else "crash" if unclean else "clean"
    )
    lost = max(cut, head_before - end if head_before > end else 0)
    return Recovery(reason=reason, head=end, sealed=sealed, cut_from=end if lost else None, cut_bytes=lost)


cdef uint64_t trusted_durable(ControlBlock *control):
    cdef JournalBlock *block = journal_block(control)
    return block.durable if block.durable_check == block.durable ^ control.key else 0


cdef bint has_lines(const Claims *claims):
    cdef uint32_t index
    for index in range(claims.control.writer_lines):
        if claims.writers[index].owner or claims.writers[index].intent_length:
            return True
    for index in range(claims.control.reader_lines):
        if claims.readers[index].owner:
            return True
    return False


cdef list keep_from_tail(SegmentStore store, ControlBlock *control, uint64_t promised):
    """Finish a removal that was interrupted, or that a power loss undid; return what is left, which must reach up to
    `promised`."""
    cdef JournalBlock *block = journal_block(control)
    bases = store.bases()
    tail = block.tail if block.tail_check == block.tail ^ control.key else 0
    kept = [base for base in bases if base >= tail]
    if not kept and promised > tail:
        raise CorruptJournalError(f"{store.path!r} has no segments, and its head is at {promised}", position=0)
    if kept:
        tail = kept[0]
    if block.tail != tail or block.tail_check != tail ^ control.key:
        store_release(&block.tail, tail)
        step()
        store_release(&block.tail_check, tail ^ control.key)
    for base in bases:
        if base < tail:
            step()
            store.remove_segment(base)
    return kept


cdef int seal_claims(const Claims *claims, SegmentStore store) except -1:
    cdef Seeker seeker
    cdef Claims own
    cdef uint64_t sealing = 0, position = 0
    cdef uint32_t index
    for index in range(claims.control.writer_lines):
        if claims.writers[index].intent_length:
            store_release(&claims.writers[index].owner, DEAD_OWNER)
            step()
    claims.control.writers_used = claims.control.writer_lines
    with nogil:
        begin_seeking(&seeker, &own, claims, store)
        for index in range(claims.control.writer_lines):
            if load_acquire(&claims.writers[index].intent_length):
                step()
                position = load_acquire(&claims.writers[index].intent_position)
                settle(&own, position, &sealing)
                if seeker.failure:
                    break
        end_seeking(&seeker)
    if seeker.failure:
        raise_failure_at(store.path, seeker.failure, position)     # the claim stays for the next who opens
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


cdef uint64_t sound_end(const Claims *claims, SegmentStore store, uint64_t start, bint checked) except? 0:
    """Where the chain of sound slots from `start` on ends; `checked`: their checksums are compared."""
    cdef uint64_t position = start
    cdef int error
    with nogil:
        error = follow_chain(claims, store, &position, checked)
    if not tells_of_journal(error):
        raise_failure_at(store.path, error, position)       # nobody knows what is there: nothing may be cut
    return position


cdef int follow_chain(const Claims *claims, SegmentStore store, uint64_t *position, bint checked) noexcept nogil:
    """Go on to the end of the chain; why it ends there: 0, a Damage or an errno."""
    cdef Segment segment
    cdef SlotHeader *header
    cdef uint64_t end
    cdef ControlBlock *control = claims.control
    cdef int error = 0
    forget_segment(&segment, claims.section)
    while True:
        error = enter_segment(&segment, store, control, position[0])
        if not error:
            error = reach(&segment, position[0] + SLOT_HEADER_SIZE)
        if error:
            break
        header = slot_in(&segment, position[0])
        if load_acquire(&header.stamp) != stamp_of(position[0], control.key):
            break
        end = position[0] + slot_length(header.size)
        if end > segment_end(position[0], claims.section):
            break
        if header.message != PADDING_ID:
            error = reach(&segment, end)
            if error:
                break
        header = slot_in(&segment, position[0])
        if checked and control.flags & CHECKSUM and slot_checksum(header) != header.crc32c:
            break
        position[0] = end
    leave_segment(&segment)
    return error


cdef uint64_t proven_head(const Claims *claims, SegmentStore store, list bases, uint64_t head) except? 0:
    """The head, unless the segments contradict it: then the end of what they hold."""
    cdef uint64_t end
    if not bases:
        return head
    starts = [base for base in bases if base <= head] or bases[:1]
    start = starts.pop()
    end = sound_end(claims, store, start, False)
    if starts and end == start and end != head:
        end = sound_end(claims, store, starts.pop(), False)     # a segment made ahead holds nothing yet
    last = segment_end(bases[len(bases) - 1], claims.section)
    if end >= head or head % SLOT_ALIGNMENT or head > last + claims.section:
        return end
    return head                                         # damage, or a segment is missing: readers are told where it is


cdef uint64_t cut_at(const Claims *claims, SegmentStore store, uint64_t end, list bases) except? 0:
    """Make everything from `end` on zero or gone; return how many bytes of the log that were, at most."""
    cdef uint64_t base = end & ~(claims.section - 1)
    cdef uint64_t behind = 0
    cdef uint64_t written
    cdef bint removed = False
    for later in reversed(bases):                       # from the last: what is left is a prefix at every moment
        if later < base:
            break
        written = last_written(store, later, end - later if later == base else 0)
        behind = max(behind, later + written - end if written else 0)
        step()
        if later > base or (end == base and not has_header(claims, store, base)):
            store.remove_segment(later)
            removed = True
        elif written:
            cut_segment(store, base, end - base)
        step()
    if removed:
        store.sync_names_or_raise()                     # or a segment could come back
    return behind


cdef int cut_segment(SegmentStore store, uint64_t base, uint64_t kept) except -1:
    """Leave zeros behind the first `kept` positions of a segment, on the disk too."""
    cdef size_t size
    cdef int failure
    descriptor = store.open_segment(base)
    if descriptor < 0:
        raise cutting_failed(-descriptor, base + kept, store)
    try:
        size = os.fstat(descriptor).st_size
        os.ftruncate(descriptor, SEGMENT_HEADER_SIZE + kept)
        step()
        failure = extend(descriptor, max(size, round_to_pages(SEGMENT_HEADER_SIZE + kept)))
        if failure:
            raise cutting_failed(failure, base + kept, store)
        step()
        os.fsync(descriptor)
    except OSError as error:
        raise cutting_failed(error.errno, base + kept, store) from None
    finally:
        close_file(descriptor)
    return 0


cdef uint64_t write_anew(SegmentStore store, uint64_t begun, uint64_t end, uint64_t size) except? 0:
    """Bring begun .. end to a disk that refused them: the kernel takes them for written, so they are written again.
    0, or the errno of the disk, which still refuses."""
    cdef uint64_t base = begun & ~(size - 1), at, behind
    cdef bint refused = False
    while base < end:
        descriptor = store.open_segment(base)
        if descriptor < 0:
            return -descriptor
        try:
            at = 0 if begun <= base else SEGMENT_HEADER_SIZE + begun - base
            behind = SEGMENT_HEADER_SIZE + min(end - base, size)
            while at < behind:
                chunk = os.pread(descriptor, min(behind - at, <uint64_t> 1 << 20), at)
                if not chunk:
                    break                                   # padding, of which only the header need exist
                at += os.pwrite(descriptor, chunk, at)
            os.fsync(descriptor)
        except OSError as error:
            return error.errno
        finally:
            close_file(descriptor)
        step()
        base += size
    return store.sync_names(&refused)


cdef object cutting_failed(int error, uint64_t position, SegmentStore store):
    return MappingError(error, f"cannot cut the journal at {position}: {os.strerror(error)}", store.path)


cdef uint64_t last_written(SegmentStore store, uint64_t base, uint64_t start) except? 0:
    """Positions of a segment up to its last byte from `start` on that is not zero; 0 where all are."""
    cdef uint64_t at = SEGMENT_HEADER_SIZE + start, end = 0
    descriptor = store.open_segment(base)
    if descriptor < 0:
        raise_failure_at(store.path, -descriptor, base)
    try:
        while chunk := os.pread(descriptor, 1 << 20, at):
            if written := len(chunk.rstrip(b"\0")):
                end = at + written - SEGMENT_HEADER_SIZE
            at += len(chunk)
    except OSError as error:
        raise MappingError(error.errno, f"cannot read the segment at {base}: {error.strerror}", store.path) from None
    finally:
        close_file(descriptor)
    return end


cdef bint has_header(const Claims *claims, SegmentStore store, uint64_t base):
    cdef Segment segment
    forget_segment(&segment, claims.section)
    cdef int error = enter_segment(&segment, store, claims.control, base)
    leave_segment(&segment)
    if not tells_of_journal(error):
        raise_failure_at(store.path, error, base)
    return error == 0


cdef int bring_cursors(ControlBlock *control, uint64_t tail, uint64_t head) except -1:
    """No cursor points to what is gone, and nobody holds one."""
    cdef JournalCursor *cursors = journal_cursors(control)
    cdef uint32_t index
    for index in range(<uint32_t> CURSOR_COUNT):
        cursors[index].owner = 0
        cursors[index].position = max(tail, min(head, cursors[index].position))
    return 0
