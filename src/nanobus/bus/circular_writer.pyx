"""The writing end of a ring: the claim protocol of claims.pxd, line by line."""
cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from nanobus.bus.base cimport (
    BUS_CLAIMED, BUS_FULL, BUS_OK, BUS_STOPPED, BUS_TOO_LARGE, FROM_A_BUS, Bus, BusStatus, Slot,
    was_closed
)
from nanobus.bus.claims cimport Claims, REAP_AFTER_NS, reap, renew_limit
from nanobus.bus.control cimport BOUNDARY_COUNT, WRITERS_PARKED, WriterLine
from nanobus.bus.forking cimport untie
from nanobus.bus.slot_writer cimport SlotWriter, open_slot
from nanobus.bus.waiting cimport STALL_RECHECK_NS, Wait, begin, pause
from nanobus.core.atomics cimport (
    fence_release, load_acquire, load_acquire_32, load_relaxed, store_relaxed, store_release, store_release_32,
    swap_if_equal
)
from nanobus.core.branches cimport rarely
from nanobus.core.clock cimport monotonic_ns
from nanobus.core.layout cimport SlotHeader, slot_length
from nanobus.core.steps cimport step
from nanobus.memory.ring cimport RingMapping


@cython.final
@cython.no_gc_clear         # __dealloc__ needs the mapping
cdef class CircularWriter(SlotWriter):
    """A writer of a CircularBus."""

    def __dealloc__(self):
        untie(&self.tie)
        if self.line != NULL:               # else it may be half made, and its vtable that of a base
            self.leave()

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
        step()
        store_release(&line.intent_length, end - position)
        step()
        if rarely(not swap_if_equal(&self.control.head, &position, end)):
            step()
            store_release(&line.intent_length, 0)
            return self.claim_slowly(size, slot)
        step()
        self.open_at(size, position, end, slot)
        return BUS_OK

    cdef BusStatus claim_slowly(self, uint32_t size, Slot *slot) noexcept nogil:
        """Claim where something stands in the way: another writer, the gate, or the caller's own mistake."""
        cdef WriterLine *line = self.line
        cdef uint64_t position, end
        if size > self.max_payload:
            return BUS_TOO_LARGE
        if line == NULL or was_closed(self):
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
            step()
            store_release(&line.intent_length, end - position)
            step()
            if swap_if_equal(&self.control.head, &position, end):
                step()
                self.open_at(size, position, end, slot)
                return BUS_OK
            step()
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

    cdef inline void open_at(self, uint32_t size, uint64_t position, uint64_t end, Slot *slot) noexcept nogil:
        fence_release()                                     # pairs with fence_acquire in look_carefully
        if rarely((position ^ end) >> self.section_shift):
            store_release(&self.control.boundaries[(end >> self.section_shift) & (BOUNDARY_COUNT - 1)], end)
            step()
        open_slot(slot, position, <SlotHeader *> (self.ring + (position & self.mask)), size)

    cdef BusStatus wait(self, uint32_t size, int64_t timeout_ns) noexcept nogil:
        cdef Wait waiting
        if size > self.max_payload:
            return BUS_TOO_LARGE
        if self.line == NULL or was_closed(self):
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
    writer.join(bus, claims, line, fence_after_commit)
    writer.mapping = mapping
    writer.ring = claims.ring
    writer.mask = claims.mask
    writer.max_payload = bus.max_payload
    writer.section_shift = claims.control.section_shift
    return writer
