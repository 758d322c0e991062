"""The writing end of a ring: the claim protocol of claims.pxd, line by line."""
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from nanobus.bus.base cimport (
    BUS_CLAIMED, BUS_FULL, BUS_OK, BUS_STOPPED, BUS_TOO_LARGE, FROM_A_BUS, Bus, BusStatus, BusWriter, Slot
)
from nanobus.bus.claims cimport Claims, REAP_AFTER_NS, reap, release_writer_line, renew_limit
from nanobus.bus.control cimport (
    BOUNDARY_COUNT, CHECKSUM, TIMESTAMPS, WRITERS_PARKED, WriterLine
)
from nanobus.bus.waiting cimport STALL_RECHECK_NS, Wait, begin, pause, wake
from nanobus.core.atomics cimport (
    fence_full, fence_light_side, fence_release, load_acquire, load_acquire_32, load_relaxed, load_relaxed_32,
    store_relaxed, store_release, store_release_32, swap_if_equal
)
from nanobus.core.branches cimport rarely
from nanobus.core.clock cimport monotonic_ns, unix_ns
from nanobus.core.layout cimport PADDING_ID, SlotHeader, slot_checksum, slot_length, stamp_of
from nanobus.memory.ring cimport RingMapping


@cython.final
@cython.no_gc_clear         # __dealloc__ needs the mapping
cdef class CircularWriter(BusWriter):
    """A writer of a CircularBus."""

    def __dealloc__(self):
        cdef Slot slot
        if self.line == NULL:
            return
        if load_relaxed(&self.line.intent_length):          # dropped with a claim outstanding
            slot.position = load_relaxed(&self.line.intent_position)
            slot.header = <SlotHeader *> (self.ring + (slot.position & self.mask))
            self.abort(&slot)
        release_writer_line(&self.claims, self.line)

    cdef void close_line(self):
        if self.line == NULL:
            return
        store_release(&self.line.limit, 0)                  # the next claim comes to claim_slowly, and is stopped there
        if load_relaxed(&self.line.intent_length) == 0:     # else the claim has to end yet: __dealloc__ frees the line
            release_writer_line(&self.claims, self.line)
            self.line = NULL

    cdef void forget_line(self):
        self.line = NULL

    cdef BusStatus claim(self, uint32_t size, Slot *slot) noexcept nogil:
        cdef WriterLine *line = self.line
        cdef uint64_t position = load_acquire(&self.control.head)
        cdef uint64_t end = position + slot_length(size)
        if rarely(
            size > self.max_payload or line == NULL or load_relaxed(&line.intent_length)
            or end > load_relaxed(&line.limit)
        ):
            return self.claim_slowly(size, slot)
        store_release(&line.intent_position, position)
        store_release(&line.intent_length, end - position)
        if rarely(not swap_if_equal(&self.control.head, &position, end)):
            store_release(&line.intent_length, 0)
            return self.claim_slowly(size, slot)
        self.open_slot(size, position, end, slot)
        return BUS_OK

    cdef BusStatus claim_slowly(self, uint32_t size, Slot *slot) noexcept nogil:
        """Claim where something stands in the way: another writer, the gate, or the caller's own mistake."""
        cdef WriterLine *line = self.line
        cdef uint64_t position, end
        if size > self.max_payload:
            return BUS_TOO_LARGE
        if line == NULL or self.closed:
            return BUS_STOPPED
        if load_relaxed(&line.intent_length):
            return BUS_CLAIMED
        position = load_acquire(&self.control.head)
        while True:
            end = position + slot_length(size)
            if end > load_relaxed(&line.limit) and not self.find_room(end):
                store_relaxed(&line.full, line.full + 1)
                return BUS_FULL
            store_release(&line.intent_position, position)
            store_release(&line.intent_length, end - position)
            if swap_if_equal(&self.control.head, &position, end):
                self.open_slot(size, position, end, slot)
                return BUS_OK
            store_release(&line.intent_length, 0)

    cdef bint find_room(self, uint64_t end) noexcept nogil:
        """Whether a claim may reach `end`, once those are reaped that died holding the gate."""
        cdef int64_t now
        if renew_limit(&self.claims, self.line) >= end:
            self.reap_at = 0
            return True
        now = monotonic_ns()
        if self.reap_at == 0:
            self.reap_at = now + REAP_AFTER_NS
        if now < self.reap_at:
            return False
        reap(&self.claims, &self.line.sealing)
        self.reap_at = monotonic_ns() + REAP_AFTER_NS
        return renew_limit(&self.claims, self.line) >= end

    cdef inline void open_slot(self, uint32_t size, uint64_t position, uint64_t end, Slot *slot) noexcept nogil:
        cdef SlotHeader *header = <SlotHeader *> (self.ring + (position & self.mask))
        fence_release()                                     # pairs with fence_acquire in look_carefully
        if rarely((position ^ end) >> self.section_shift):
            store_release(&self.control.boundaries[(end >> self.section_shift) & (BOUNDARY_COUNT - 1)], end)
        slot.position = position
        slot.header = header
        slot.payload = <uint8_t *> (header + 1)
        header.size = size
        header.timestamp = 0
        header.crc32c = 0
        header.cause = 0

    cdef void commit(self, Slot *slot) noexcept nogil:
        if rarely(self.commits_slowly or self.line == NULL):
            self.commit_slowly(slot)
            return
        self.publish(slot)
        fence_light_side()                                  # pairs with fence_heavy_side in pause
        if rarely(load_relaxed_32(&self.control.parked)):
            wake(self.control)

    cdef void commit_slowly(self, Slot *slot) noexcept nogil:
        """Commit where there is more to do than to publish."""
        cdef SlotHeader *header = slot.header
        if self.line == NULL:                               # forked: the claim is the parent's
            return
        if self.control.flags & TIMESTAMPS:
            header.timestamp = unix_ns()
        if self.control.flags & CHECKSUM:
            header.crc32c = slot_checksum(header)
        self.publish(slot)
        if self.fence_after_commit:
            fence_full()
        fence_light_side()
        if load_relaxed_32(&self.control.parked):
            wake(self.control)

    cdef inline void publish(self, Slot *slot) noexcept nogil:
        cdef WriterLine *line = self.line
        store_relaxed(&line.committed, line.committed + 1)
        store_relaxed(&line.committed_bytes, line.committed_bytes + slot.header.size)
        store_release(&slot.header.stamp, stamp_of(slot.position, self.key))
        store_release(&line.intent_length, 0)               # after the stamp: settle looks at the stamp last

    cdef void abort(self, Slot *slot) noexcept nogil:
        cdef WriterLine *line = self.line
        if line == NULL:
            return
        store_relaxed(&line.aborted, line.aborted + 1)
        slot.header.source = 0
        slot.header.message = PADDING_ID
        slot.header.cause = 0
        store_release(&slot.header.stamp, stamp_of(slot.position, self.key))
        store_release(&line.intent_length, 0)
        fence_full()
        if load_relaxed_32(&self.control.parked):
            wake(self.control)

    cdef BusStatus wait(self, uint32_t size, int64_t timeout_ns) noexcept nogil:
        cdef Wait waiting
        if size > self.max_payload:
            return BUS_TOO_LARGE
        if self.line == NULL or self.closed:
            return BUS_STOPPED
        begin(&waiting, self.control, WRITERS_PARKED, timeout_ns)
        waiting.longest_sleep = STALL_RECHECK_NS            # readers wake writers by the eighth of a ring only
        while True:
            if load_acquire_32(&self.interrupted):
                store_release_32(&self.interrupted, 0)
                return BUS_STOPPED
            if self.find_room(load_acquire(&self.control.head) + slot_length(size)):
                return BUS_OK
            if not pause(&waiting):
                return BUS_FULL


cdef CircularWriter new_writer(
    Bus bus, RingMapping mapping, const Claims *claims, WriterLine *line, bint fence_after_commit
):
    cdef CircularWriter writer = CircularWriter.__new__(CircularWriter, FROM_A_BUS)
    writer.bus = bus
    writer.mapping = mapping
    writer.claims = claims[0]
    writer.control = claims.control
    writer.line = line
    writer.ring = claims.ring
    writer.mask = claims.mask
    writer.key = claims.control.key
    writer.max_payload = bus.max_payload
    writer.section_shift = claims.control.section_shift
    writer.fence_after_commit = fence_after_commit
    writer.commits_slowly = fence_after_commit or (claims.control.flags & (TIMESTAMPS | CHECKSUM)) != 0
    return writer
