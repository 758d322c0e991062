"""The writing end of a journal: the claim protocol of bus/claims.pxd, where there is always room.

A slot never straddles two segments. Whoever finds that its message does not fit into what is left of one claims that
rest as padding, then claims anew. The bytes of a claim exist in the file and are mapped before the claim is made, so
that a full disk refuses a claim and never interrupts one.
"""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from nanobus.bus.base cimport (
    BUS_CLAIMED, BUS_FAILED, BUS_OK, BUS_STOPPED, BUS_TOO_LARGE, FROM_A_BUS, Bus, BusStatus, Slot,
    was_closed
)
from nanobus.bus.claims cimport Claims
from nanobus.bus.control cimport WRITERS_PARKED, WriterLine
from nanobus.bus.forking cimport untie
from nanobus.bus.slot_writer cimport SlotWriter, open_slot
from nanobus.bus.waiting cimport Wait, begin, pause, wake
from nanobus.core.atomics cimport (
    fence_full, load_acquire, load_acquire_32, load_relaxed, load_relaxed_32, store_release, store_release_32,
    swap_if_equal
)
from nanobus.core.branches cimport rarely
from nanobus.core.layout cimport SLOT_HEADER_SIZE, SlotHeader, make_padding, slot_length, stamp_of
from nanobus.core.owner cimport owner_self
from nanobus.core.steps cimport step
from nanobus.journal.durability cimport ensure_durable, refusal
from nanobus.journal.failures cimport raise_failure_at
from nanobus.journal.layout cimport journal_block
from nanobus.journal.segment cimport (
    claim_segment, is_inside, leave_segment, segment_end, slot_in, slot_in_place
)
from nanobus.journal.store cimport SegmentStore

from threading import get_ident


cdef enum:
    RETRY_NS = 5_000_000                # rest of who wants to write to a disk that refused


@cython.final
@cython.no_gc_clear         # __dealloc__ needs the control block
cdef class JournalWriter(SlotWriter):
    """A writer of a JournalBus."""

    def __dealloc__(self):
        untie(&self.tie)
        if self.line != NULL:               # else it may be half made, and its vtable that of a base
            self.leave()
        leave_segment(&self.segment)

    cdef BusStatus claim(self, uint32_t size, Slot *slot) noexcept nogil:
        cdef WriterLine *line = self.line
        cdef uint64_t position = load_acquire(&self.control.head)
        cdef uint64_t end = position + slot_length(size)
        if rarely(
            size > self.max_payload or line == NULL or load_relaxed(&line.intent_length)
            or end > self.segment.mapped_end or was_closed(self) or load_relaxed(self.sync_error)
        ):
            return self.claim_slowly(size, slot)
        store_release(&line.intent_position, position)
        step()
        store_release(&line.intent_length, end - position)
        step()
        if rarely(not swap_if_equal(&self.control.head, &position, end)):
            store_release(&line.intent_length, 0)
            return self.claim_slowly(size, slot)
        step()
        open_slot(slot, position, slot_in(&self.segment, position), size)
        return BUS_OK

    cdef BusStatus claim_slowly(self, uint32_t size, Slot *slot) noexcept nogil:
        cdef uint64_t position, end, limit
        if size > self.max_payload:
            return BUS_TOO_LARGE
        if self.line == NULL:
            return BUS_STOPPED
        if load_relaxed(&self.line.intent_length):
            return BUS_CLAIMED
        if was_closed(self):
            return BUS_STOPPED
        if load_acquire(self.sync_error):
            return BUS_FAILED                               # what is not promised is not begun
        position = load_acquire(&self.control.head)
        while True:
            end = position + slot_length(size)
            limit = segment_end(position, self.segment.size)
            if not self.reach(position, end if end <= limit else position + SLOT_HEADER_SIZE):
                if load_acquire(&self.control.head) == position:
                    return BUS_FAILED
                position = load_acquire(&self.control.head)         # others went on, and the segment may be gone
            elif end > limit:
                if self.win(&position, limit):
                    self.fill_up(position, limit)
                    position = limit
            elif self.win(&position, end):
                open_slot(slot, position, slot_in(&self.segment, position), size)
                return BUS_OK

    cdef bint reach(self, uint64_t position, uint64_t end) noexcept nogil:
        """Have position .. end mapped."""
        cdef int error
        if is_inside(&self.segment, position) and end <= self.segment.mapped_end:
            return True
        error = claim_segment(&self.segment, self.store, self.control, position, end)
        if error:
            self.failure = error
            self.failed_at = position
        return error == 0

    cdef bint win(self, uint64_t *position, uint64_t end) noexcept nogil:
        """Lines 3 to 5 of the protocol; where another writer was faster `position` becomes the head."""
        store_release(&self.line.intent_position, position[0])
        step()
        store_release(&self.line.intent_length, end - position[0])
        step()
        if swap_if_equal(&self.control.head, position, end):
            step()
            return True
        store_release(&self.line.intent_length, 0)
        return False

    cdef void fill_up(self, uint64_t position, uint64_t end) noexcept nogil:
        """Turn a claim that goes to the segment's end into padding, of which only the header need exist."""
        cdef SlotHeader *header = slot_in(&self.segment, position)
        make_padding(header, end - position)
        step()
        store_release(&header.stamp, stamp_of(position, self.key))
        step()
        store_release(&self.line.intent_length, 0)
        step()
        fence_full()
        if load_relaxed_32(&self.control.parked):
            wake(self.control)

    cdef BusStatus wait(self, uint32_t size, int64_t timeout_ns) noexcept nogil:
        """There is room, unless the disk refuses: then this is the rest before somebody asks again."""
        cdef Wait waiting
        if size > self.max_payload:
            return BUS_TOO_LARGE
        if self.line == NULL or was_closed(self):
            return BUS_STOPPED
        begin(&waiting, self.control, WRITERS_PARKED, min(timeout_ns, <int64_t> RETRY_NS))
        while pause(&waiting):
            if load_acquire_32(&self.interrupted):
                store_release_32(&self.interrupted, 0)
                return BUS_STOPPED
        return BUS_OK

    cdef int ensure(self, uint64_t end) except -1:
        cdef uint64_t sealing = 0                           # nothing is overwritten here: no gate has to see it
        cdef list pending
        if self.line == NULL and owner_self() != self.claims.owner:
            return 0                                        # forked: what was claimed is the parent's
        if self.bus.claiming:
            with self.bus.lock:
                pending = self.bus.claiming.get(get_ident())
                if pending is not None:                     # behind an open claim nothing is durable: its end ensures
                    pending[1] = max(pending[1], end)
                    return 0
        self.begin_use()
        try:
            ensure_durable(&self.claims, self.store, end, &sealing)
        finally:
            self.end_use()
        return 0

    cdef int raise_failure(self) except -1:
        if load_acquire(self.sync_error):
            raise refusal(<int> load_acquire(self.sync_error), &self.claims, self.store)
        raise_failure_at(self.store.path, self.failure, self.failed_at)


cdef JournalWriter new_writer(
    Bus bus, object memory, SegmentStore store, const Claims *claims, WriterLine *line, bint fence_after_commit,
    str sync_policy
):
    cdef JournalWriter writer = JournalWriter.__new__(JournalWriter, FROM_A_BUS)
    writer.join(bus, claims, line, fence_after_commit)
    writer.claims.locate = slot_in_place
    writer.claims.place = &writer.segment
    writer.memory = memory
    writer.store = store
    writer.max_payload = bus.max_payload
    writer.segment.size = writer.claims.section
    writer.ensures = sync_policy == "commit"
    writer.sync_error = &writer.never_refused if sync_policy == "none" else &journal_block(claims.control).sync_error
    return writer
