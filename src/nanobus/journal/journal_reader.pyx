"""The reading end of a journal: in place, for nothing is ever overwritten.

A committed slot that cannot be read is damage, and said so by name: the head is past it, no writer intends it, and yet
no stamp fits. A claim in flight is not: its writer still shows the intent (bus/claims.pxd).
"""
cimport cython
from libc.errno cimport ENOENT
from libc.stdint cimport int64_t, uint8_t, uint64_t

from nanobus.bus.base cimport (
    BUS_CORRUPT, BUS_EMPTY, BUS_FAILED, BUS_LAPPED, BUS_OK, BUS_STOPPED, FROM_A_BUS, Bus, BusReader, BusStatus, Slot,
    was_closed
)
from nanobus.bus.claims cimport Claims, is_intended, is_visible, release_reader_line, settle_stalled
from nanobus.bus.control cimport CHECKSUM, GATING, READERS_PARKED, REVOCABLE, ReaderLine
from nanobus.bus.forking cimport tie, untie
from nanobus.bus.waiting cimport RECHECK_NS, STALL_RECHECK_NS, Wait, begin, pause
from nanobus.core.atomics cimport (
    fence_full, load_acquire, load_acquire_32, set_bits_32, store_relaxed, store_relaxed_32, store_release,
    store_release_32
)
from nanobus.core.branches cimport rarely
from nanobus.core.layout cimport (
    PADDING_ID, SLOT_ALIGNMENT, SLOT_HEADER_SIZE, SlotHeader, slot_checksum, slot_length, stamp_of
)
from nanobus.core.steps cimport step
from nanobus.journal.failures cimport raise_failure_at
from nanobus.journal.layout cimport journal_block
from nanobus.journal.segment cimport (
    SEGMENT_MISSING, SEGMENT_SHORT, SLOT_DAMAGED, SLOT_TOO_LONG, enter_segment, is_inside, leave_segment, reach,
    segment_end, slot_in, slot_in_place
)
from nanobus.journal.store cimport SegmentStore

from nanobus.errors import BusClosedError


@cython.final
@cython.no_gc_clear         # __dealloc__ needs the control block
cdef class JournalReader(BusReader):
    """A reader of a JournalBus."""

    def __dealloc__(self):
        untie(&self.tie)
        if self.line != NULL and self.line != &self.own_line:
            self.close_line()
        leave_segment(&self.segment)

    cdef void close_line(self):
        if self.named != NULL:
            store_release(&self.named.owner, 0)             # its position stays
            self.named = NULL
        if self.line != &self.own_line:
            release_reader_line(self.line)
            self.forget_line()

    cdef void forget_line(self):
        if self.line != &self.own_line:
            self.own_line.position = self.cursor
            self.line = &self.own_line
            self.named = NULL
            self.key = ~self.key                            # no stamp fits any more: every look ends in look_again

    cdef ReaderLine *lend_line(self):
        cdef ReaderLine *line = self.line
        if line == &self.own_line:
            return NULL
        self.forget_line()
        return line

    cdef BusStatus peek(self, Slot *slot) noexcept nogil:
        cdef uint64_t cursor = self.cursor
        cdef SlotHeader *header = slot_in(&self.segment, cursor)
        cdef uint64_t next
        if rarely(
            cursor >= self.segment.mapped_end
            or load_acquire(&header.stamp) != stamp_of(cursor, self.key)           # pairs with commit, abort, settle
            or self.careful or header.message == PADDING_ID
        ):
            return self.peek_slowly(slot)
        next = cursor + slot_length(header.size)
        if rarely(next > self.segment.mapped_end):
            return self.peek_slowly(slot)
        slot.position = cursor
        slot.header = header
        slot.payload = <uint8_t *> (header + 1)
        self.next = next
        return BUS_OK

    cdef BusStatus peek_slowly(self, Slot *slot) noexcept nogil:
        cdef BusStatus status
        while True:
            status = self.follow(self.cursor + SLOT_HEADER_SIZE)
            if status == BUS_OK and load_acquire(&slot_in(&self.segment, self.cursor).stamp) != stamp_of(
                self.cursor, self.key
            ):
                status = self.look_again()
            if status != BUS_OK:
                if status == BUS_LAPPED:
                    self.lost_from = self.cursor
                    self.cursor = self.next = load_acquire(&journal_block(self.control).tail)
                    store_relaxed_32(&self.line.gaps, self.line.gaps + 1)
                    store_relaxed(&self.line.lost_bytes, self.line.lost_bytes + self.cursor - self.lost_from)
                    store_release(&self.line.position, self.cursor)
                return status
            status = self.look_closely(slot)
            if status != BUS_OK or slot.header.message != PADDING_ID:
                return status
            self.advance()

    cdef BusStatus follow(self, uint64_t end) noexcept nogil:
        """Have cursor .. end mapped: BUS_EMPTY while the head is not past the cursor, BUS_LAPPED where retention was
        faster, BUS_FAILED."""
        cdef int error
        if is_inside(&self.segment, self.cursor) and end <= self.segment.mapped_end:
            return BUS_OK
        if was_closed(self):
            return BUS_STOPPED
        if load_acquire(&self.control.head) <= self.cursor:
            return BUS_EMPTY
        error = enter_segment(&self.segment, self.store, self.control, self.cursor)
        if error == ENOENT:
            if self.cursor < load_acquire(&journal_block(self.control).tail):
                return BUS_LAPPED
            error = SEGMENT_MISSING
        if not error:
            error = reach(&self.segment, end)
        return self.fail(error, self.cursor) if error else BUS_OK

    cdef BusStatus fail(self, int failure, uint64_t position) noexcept nogil:
        self.failure = failure
        self.failed_at = position
        return BUS_FAILED

    cdef int raise_failure(self) except -1:
        raise_failure_at(self.store.path, self.failure, self.failed_at)

    cdef BusStatus look_again(self) noexcept nogil:
        """Why no stamp fits at the cursor, which is mapped: nothing there yet, a claim in flight or of the dead, or
        damage; BUS_OK: one fits now."""
        if was_closed(self) or self.key != self.control.key:    # the latter alone: forked, before Python's hooks ran
            return BUS_STOPPED
        if load_acquire(&self.control.head) <= self.cursor:
            return BUS_EMPTY
        if not is_intended(&self.claims, self.cursor):      # after the head, before the stamp: see claims.pxd
            if load_acquire(&slot_in(&self.segment, self.cursor).stamp) == stamp_of(self.cursor, self.key):
                return BUS_OK
            return self.fail(SLOT_DAMAGED, self.cursor)
        settle_stalled(&self.stall, &self.claims, self.cursor, &self.line.sealing)
        return BUS_EMPTY

    cdef BusStatus look_closely(self, Slot *slot) noexcept nogil:
        """The slot whose stamp fits at the cursor, once its length and checksum were looked at."""
        cdef SlotHeader *header = slot_in(&self.segment, self.cursor)
        cdef uint64_t end = self.cursor + slot_length(header.size)
        cdef int error
        if end > segment_end(self.cursor, self.segment.size):
            return self.fail(SLOT_TOO_LONG, self.cursor)
        if header.message != PADDING_ID:                    # of padding only the header need exist
            error = reach(&self.segment, end)               # may move the mapping
            if error:
                return self.fail(error, self.cursor)
            header = slot_in(&self.segment, self.cursor)
        slot.position = self.cursor
        slot.header = header
        slot.payload = <uint8_t *> (header + 1)
        self.next = end
        if self.careful and slot_checksum(header) != header.crc32c:
            # Its size may be what is wrong: then nobody knows where the next message starts.
            return BUS_CORRUPT if self.starts_message(end) else self.fail(SLOT_DAMAGED, self.cursor)
        return BUS_OK

    cdef bint starts_message(self, uint64_t position) noexcept nogil:
        """Whether a slot starts at `position`, in the segment at hand or right behind it, or will."""
        if position == load_acquire(&self.control.head) or position & (self.segment.size - 1) == 0:
            return True
        if position > load_acquire(&self.control.head) or position % SLOT_ALIGNMENT:
            return False
        if is_intended(&self.claims, position):             # before the stamp: it is cleared after
            return True
        return is_visible(&self.claims, position)

    cdef bint is_padded(self, uint64_t position) noexcept nogil:
        """Whether padding covers `position`, which is past the end of its file: only padding need not exist."""
        cdef uint64_t at = self.segment.base, end
        cdef SlotHeader *header
        while reach(&self.segment, at + SLOT_HEADER_SIZE) == 0:
            header = slot_in(&self.segment, at)
            end = at + slot_length(header.size)
            if load_acquire(&header.stamp) != stamp_of(at, self.control.key):
                return False
            if end > position:
                return header.message == PADDING_ID
            at = end
        return False

    cdef void advance(self) noexcept nogil:
        self.cursor = self.next
        if not self.holds:
            self.publish()

    cdef void publish(self) noexcept nogil:
        step()
        store_release(&self.line.position, self.cursor)     # after the last read of the slot: gate() acquires it
        if self.named != NULL:
            step()
            store_release(&self.named.position, self.cursor)

    cdef BusStatus look_at(self, uint64_t position, Slot *slot) noexcept nogil:
        cdef BusStatus status
        cdef int error
        if position % SLOT_ALIGNMENT or position >= load_acquire(&self.control.head):
            return BUS_EMPTY
        error = enter_segment(&self.segment, self.store, self.control, position)
        if not error:
            error = reach(&self.segment, position + SLOT_HEADER_SIZE)
        if error == ENOENT:
            if position < load_acquire(&journal_block(self.control).tail):
                return BUS_EMPTY                            # retention took it
            error = SEGMENT_MISSING
        if error == SEGMENT_SHORT and self.is_padded(position):
            return BUS_EMPTY
        if error:
            return self.fail(error, position)
        if self.key != self.control.key or not is_visible(&self.claims, position):      # the former: forked
            return BUS_EMPTY
        self.cursor = position
        status = self.look_closely(slot)
        return BUS_EMPTY if status == BUS_OK and slot.header.message == PADDING_ID else status

    cdef BusStatus wait(self, int64_t timeout_ns) noexcept nogil:
        cdef Wait waiting
        cdef BusStatus status
        begin(&waiting, self.control, READERS_PARKED, timeout_ns)
        while True:
            if load_acquire_32(&self.interrupted):
                store_release_32(&self.interrupted, 0)
                return BUS_STOPPED
            status = self.follow(self.cursor + SLOT_HEADER_SIZE)
            if status == BUS_OK:
                if load_acquire(&slot_in(&self.segment, self.cursor).stamp) == stamp_of(self.cursor, self.key):
                    return BUS_OK
                status = self.look_again()
            if status != BUS_EMPTY:
                return BUS_STOPPED if status == BUS_STOPPED else BUS_OK         # `peek` tells the rest
            waiting.longest_sleep = (
                RECHECK_NS if load_acquire(&self.control.head) == self.cursor else STALL_RECHECK_NS
            )
            if not pause(&waiting):
                return BUS_EMPTY

    cdef uint64_t keep_place(self, uint64_t position) noexcept nogil:
        """Show `position` to retention, and return the tail: if it is past `position`, retention was faster."""
        self.cursor = self.next = position
        store_release(&self.line.position, position)
        fence_full()                                        # pairs with the one in retention
        return load_acquire(&journal_block(self.control).tail)

    cdef int place(self, object start, bint gate, object lag_limit) except -1:
        """Register at `start`: "oldest", "newest" or a position."""
        cdef uint64_t head = load_acquire(&self.control.head)
        cdef uint64_t tail = load_acquire(&journal_block(self.control).tail)
        cdef uint64_t wanted
        cdef BusStatus status
        if gate:
            store_relaxed(&self.line.lag_limit, lag_limit or 0)
            set_bits_32(&self.line.gating, GATING if lag_limit is None else REVOCABLE)
        if start == "oldest":
            wanted = tail
            while True:
                tail = self.keep_place(wanted)
                if tail <= wanted:
                    return 0
                wanted = tail
        wanted = head if start == "newest" else start if 0 <= start <= head else head + 1
        if wanted > head:
            raise ValueError(f"start must be a position in 0..{head}, the head, got {start}")
        if self.keep_place(wanted) > wanted:
            tail = load_acquire(&journal_block(self.control).tail)
            raise ValueError(f"start must be kept still: retention removed what is before {tail}, got {start}")
        if wanted < head and wanted & (self.segment.size - 1):
            status = self.follow(wanted + SLOT_HEADER_SIZE) if wanted % SLOT_ALIGNMENT == 0 else BUS_OK
            if status == BUS_STOPPED:
                raise BusClosedError("the bus was closed while a reader was being opened")
            if status == BUS_FAILED and (self.failure != SEGMENT_SHORT or not self.is_padded(wanted)):
                self.raise_failure()
            if wanted % SLOT_ALIGNMENT or not self.starts_message(wanted):
                raise ValueError(f"start must be the position of a message, and none starts at {start}")
        return 0

    cdef uint64_t find_time(self, int64_t time) noexcept nogil:
        """Position of the first message stamped `time` (unix ns) or later, from the cursor on; what it finds damaged
        ends the search."""
        cdef Slot slot
        cdef BusStatus status
        while True:
            status = self.peek(&slot)
            if status == BUS_OK and slot.header.timestamp >= time or status == BUS_EMPTY or status == BUS_FAILED:
                return self.cursor
            if status == BUS_OK or status == BUS_CORRUPT:
                self.advance()
            elif status != BUS_LAPPED:
                return self.cursor


cdef JournalReader new_reader(Bus bus, object memory, SegmentStore store, const Claims *claims):
    cdef JournalReader reader = JournalReader.__new__(JournalReader, FROM_A_BUS)
    reader.bus = bus
    reader.memory = memory
    reader.store = store
    reader.claims = claims[0]
    reader.claims.locate = slot_in_place
    reader.claims.place = &reader.segment
    reader.control = claims.control
    reader.line = &reader.own_line
    reader.segment.size = claims.section
    reader.key = claims.control.key
    tie(&reader.tie, <void **> &reader.line, &reader.own_line, &reader.key)
    reader.careful = (claims.control.flags & CHECKSUM) != 0
    return reader


cdef JournalReader new_adopted_reader(
    Bus bus, object memory, SegmentStore store, const Claims *claims, ReaderLine *line
):
    cdef JournalReader reader = new_reader(bus, memory, store, claims)
    reader.line = line
    reader.cursor = reader.next = load_acquire(&line.position)
    return reader
