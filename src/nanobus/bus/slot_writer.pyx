"""Committing and aborting claims, on any bus whose writers have lines in a control block."""
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from nanobus.bus.base cimport Bus, BusWriter, Slot
from nanobus.bus.claims cimport CUTTING, Claims, release_writer_line
from nanobus.bus.control cimport CHECKSUM, TIMESTAMPS, WriterLine
from nanobus.bus.forking cimport tie
from nanobus.bus.waiting cimport wake
from nanobus.core.atomics cimport (
    fence_full, fence_light_side, load_relaxed, load_relaxed_32, store_relaxed, store_release
)
from nanobus.core.branches cimport rarely
from nanobus.core.clock cimport unix_ns
from nanobus.core.layout cimport PADDING_ID, SlotHeader, slot_checksum, slot_length, stamp_of
from nanobus.core.steps cimport step


cdef class SlotWriter(BusWriter):

    cdef void leave(self) noexcept:
        cdef Slot slot
        if load_relaxed(&self.line.intent_length):          # dropped with a claim outstanding
            slot.position = load_relaxed(&self.line.intent_position)
            slot.header = self.claims.locate(&self.claims, slot.position)
            if slot.header != NULL:
                self.abort(&slot)
        release_writer_line(&self.claims, self.line)
        self.line = NULL

    cdef void join(self, Bus bus, const Claims *claims, WriterLine *line, bint fence_after_commit):
        self.bus = bus
        self.claims = claims[0]
        self.control = claims.control
        self.line = line
        tie(&self.tie, <void **> &self.line, NULL, NULL)
        self.key = claims.control.key
        self.takes_batches = True
        self.fence_after_commit = fence_after_commit
        self.commits_slowly = fence_after_commit or (claims.control.flags & (TIMESTAMPS | CHECKSUM)) != 0

    cdef void close_line(self):
        if self.line == NULL:
            return
        store_release(&self.line.limit, 0)                  # a ring's next claim then looks closer, and is stopped
        if load_relaxed(&self.line.intent_length) == 0:     # else the claim has to end yet: `leave` frees the line
            release_writer_line(&self.claims, self.line)
            self.line = NULL

    cdef void forget_line(self):
        self.line = NULL

    cdef void commit(self, Slot *slot) noexcept nogil:
        if rarely(self.commits_slowly or self.line == NULL):
            self.commit_slowly(slot)
            return
        self.publish(slot)
        self.wake_others()

    cdef void commit_slowly(self, Slot *slot) noexcept nogil:
        """Commit where there is more to do than to publish."""
        if self.line == NULL:                               # forked: the claim is the parent's
            return
        self.finish_header(slot.header, self.time_of_commit())
        self.publish(slot)
        if self.fence_after_commit:
            fence_full()
        self.wake_others()

    cdef void commit_batch(self, Slot *slot, uint32_t count, uint32_t size) noexcept nogil:
        cdef uint64_t length = slot_length(size)
        cdef uint64_t offset = count * length
        cdef SlotHeader *header
        cdef int64_t now
        if self.line == NULL:
            return
        now = self.time_of_commit()
        if count > 1:
            store_release(&self.line.intent_length, offset | CUTTING)
            step()
        store_relaxed(&self.line.committed, self.line.committed + count - 1)    # the first one is counted by `publish`
        store_relaxed(&self.line.committed_bytes, self.line.committed_bytes + <uint64_t> (count - 1) * size)
        while True:
            offset -= length
            if offset == 0:
                break
            header = <SlotHeader *> (<uint8_t *> slot.header + offset)
            if self.commits_slowly:
                self.finish_header(header, now)
            step()
            store_release(&header.stamp, stamp_of(slot.position + offset, self.key))
        step()
        slot.header.size = size
        if self.commits_slowly:
            self.finish_header(slot.header, now)
        self.publish(slot)
        if self.fence_after_commit:
            fence_full()
        self.wake_others()

    cdef inline int64_t time_of_commit(self) noexcept nogil:
        return unix_ns() if self.control.flags & TIMESTAMPS else 0

    cdef inline void finish_header(self, SlotHeader *header, int64_t timestamp) noexcept nogil:
        header.timestamp = timestamp
        step()
        if self.control.flags & CHECKSUM:
            header.crc32c = slot_checksum(header)

    cdef inline void wake_others(self) noexcept nogil:
        fence_light_side()                                  # pairs with fence_heavy_side in pause
        step()
        if rarely(load_relaxed_32(&self.control.parked)):
            wake(self.control)

    cdef inline void publish(self, Slot *slot) noexcept nogil:
        cdef WriterLine *line = self.line
        store_relaxed(&line.committed, line.committed + 1)
        store_relaxed(&line.committed_bytes, line.committed_bytes + slot.header.size)
        step()
        store_release(&slot.header.stamp, stamp_of(slot.position, self.key))
        step()
        store_release(&line.intent_length, 0)               # after the stamp: settle looks at the stamp last

    cdef void abort(self, Slot *slot) noexcept nogil:
        cdef WriterLine *line = self.line
        if line == NULL:
            return
        store_relaxed(&line.aborted, line.aborted + 1)
        slot.header.source = 0
        slot.header.message = PADDING_ID
        slot.header.cause = 0
        slot.header.crc32c = slot_checksum(slot.header)
        step()
        store_release(&slot.header.stamp, stamp_of(slot.position, self.key))
        step()
        store_release(&line.intent_length, 0)
        step()
        fence_full()
        if load_relaxed_32(&self.control.parked):
            wake(self.control)
