"""The reading end of a ring: in place where writers wait for the reader, copied and checked where they may overtake."""
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint64_t
from libc.stdlib cimport free

from nanobus.bus.base cimport (
    BUS_CORRUPT, BUS_EMPTY, BUS_LAPPED, BUS_OK, BUS_STOPPED, FROM_A_BUS, Bus, BusReader, BusStatus, Slot,
    was_closed
)
from nanobus.bus.claims cimport (
    Claims, boundary_from, highest_limit, is_intended, is_visible, release_reader_line, settle_stalled
)
from nanobus.bus.control cimport (
    CHECKSUM, GATING, OVERFLOW_OVERWRITE, READERS_PARKED, REVOCABLE, WRITERS_PARKED, ReaderLine
)
from nanobus.bus.forking cimport tie, untie
from nanobus.bus.waiting cimport RECHECK_NS, STALL_RECHECK_NS, Wait, begin, pause, wake
from nanobus.core.atomics cimport (
    fence_acquire, fence_full, fence_light_side, load_acquire, load_acquire_32, load_relaxed, load_relaxed_32,
    set_bits_32, store_relaxed, store_relaxed_32, store_release, store_release_32
)
from nanobus.core.branches cimport rarely
from nanobus.core.copying cimport copy_racing
from nanobus.core.layout cimport (
    PADDING_ID, SLOT_ALIGNMENT, SLOT_HEADER_SIZE, SlotHeader, slot_checksum, slot_length, stamp_of
)
from nanobus.core.steps cimport step
from nanobus.memory.ring cimport RingMapping


cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)


@cython.final
@cython.no_gc_clear         # __dealloc__ needs the mapping
cdef class CircularReader(BusReader):
    """A reader of a CircularBus."""

    def __dealloc__(self):
        untie(&self.tie)
        free(self.copy)
        if self.line != NULL and self.line != &self.own_line:
            release_reader_line(self.line)

    cdef void close_line(self):
        if self.line == &self.own_line:
            return
        release_reader_line(self.line)
        self.own_line.position = self.cursor
        self.line = &self.own_line
        self.key = ~self.key                                # no stamp fits any more: every look ends in look_again
        self.wake_writers()                                 # whom this reader gated

    cdef void forget_line(self):
        if self.line != &self.own_line:
            self.own_line.position = self.cursor
            self.line = &self.own_line
            self.key = ~self.key

    cdef ReaderLine *lend_line(self):
        cdef ReaderLine *line = self.line
        if self.arriving or line == &self.own_line:
            return NULL
        self.forget_line()
        return line

    cdef int allocate_copy(self) except -1:
        self.copy = <uint8_t *> aligned_alloc(SLOT_ALIGNMENT, slot_length(self.max_payload))
        if self.copy == NULL:
            raise MemoryError(f"no memory for a reader's copy of {self.max_payload} bytes")
        return 0

    cdef int place(self, object start, bint gate, object lag_limit) except -1:
        """Register at `start`; told in claims.pxd, "the gate"."""
        cdef uint64_t head = load_acquire(&self.control.head)
        cdef uint64_t oldest = head - self.mask - 1 if head > self.mask else 0
        cdef uint64_t wanted, limit
        if start == "newest":
            wanted = head
        elif start == "oldest":
            wanted = boundary_from(&self.claims, oldest)
        elif 0 <= start <= head:
            wanted = start
        else:
            raise ValueError(f"start must be a position in 0..{head}, the head, got {start}")
        if wanted < oldest:
            raise ValueError(f"start must not be overwritten yet: the oldest message is past {oldest}, got {start}")
        self.cursor = self.next = wanted
        step()
        store_release(&self.line.position, wanted)
        step()
        if gate and not self.control.flags & OVERFLOW_OVERWRITE:
            store_relaxed(&self.line.lag_limit, lag_limit or 0)
            set_bits_32(&self.line.gating, GATING if lag_limit is None else REVOCABLE)
            step()
            fence_full()                                    # pairs with the fence in renew_limit
            limit = highest_limit(&self.claims)
            if limit > wanted + self.mask + 1 and not self.copies:
                self.protected_from = limit - self.mask - 1
                self.arriving = self.careful = self.copies = True
                self.allocate_copy()
        cdef bint found = wanted >= head or self.is_boundary(wanted)
        # The head last: who overtook `wanted` meanwhile may have freed its line since, and its limit with it.
        if load_acquire(&self.control.head) - wanted > self.mask + 1:
            if not self.copies:
                self.protected_from = wanted + 1            # the first look tells of a gap; from there on it is gating
                self.arriving = self.careful = self.copies = True
                self.allocate_copy()
        elif not found:
            raise ValueError(f"start must be the position of a message, and none starts at {start}")
        return 0

    cdef void arrive(self) noexcept nogil:
        """From here on every writer knows of this reader: no more copies."""
        self.arriving = self.copies = False
        self.careful = (self.control.flags & CHECKSUM) != 0

    cdef bint is_boundary(self, uint64_t position) noexcept nogil:
        # The intent first: it is cleared after the stamp is written.
        return position % SLOT_ALIGNMENT == 0 and (
            is_intended(&self.claims, position) or is_visible(&self.claims, position)
        )

    cdef BusStatus peek(self, Slot *slot) noexcept nogil:
        cdef uint64_t cursor = self.cursor
        cdef SlotHeader *header = <SlotHeader *> (self.ring + (cursor & self.mask))
        if rarely(
            load_acquire(&header.stamp) != stamp_of(cursor, self.key)              # pairs with commit, abort, settle
            or self.careful or header.message == PADDING_ID
        ):
            return self.peek_slowly(slot)
        slot.position = cursor
        slot.header = header
        slot.payload = <uint8_t *> (header + 1)
        self.next = cursor + slot_length(header.size)
        return BUS_OK

    cdef BusStatus peek_slowly(self, Slot *slot) noexcept nogil:
        """Peek where there is nothing, or padding, or something that has to be copied or checked."""
        cdef SlotHeader *header
        cdef BusStatus status
        while True:
            header = <SlotHeader *> (self.ring + (self.cursor & self.mask))
            if load_acquire(&header.stamp) != stamp_of(self.cursor, self.key):
                status = self.look_again()
                return self.resume() if status == BUS_LAPPED else status
            if self.arriving and self.cursor >= self.protected_from:
                self.arrive()
            status = self.look_carefully(self.cursor, slot)
            if status == BUS_LAPPED:
                return self.resume()
            self.next = self.cursor + slot_length(slot.header.size)
            if status == BUS_CORRUPT and not self.is_next(self.next):       # its size may be what is wrong
                self.next = boundary_from(&self.claims, self.cursor + 1)
            if status == BUS_CORRUPT or slot.header.message != PADDING_ID:
                return status
            self.advance()

    cdef bint is_next(self, uint64_t position) noexcept nogil:
        cdef uint64_t head = load_acquire(&self.control.head)
        return position == head or (position < head and self.is_boundary(position))

    cdef void advance(self) noexcept nogil:
        cdef uint64_t next = self.next
        cdef uint64_t passed = self.cursor ^ next
        self.cursor = next
        if rarely(self.holds):
            return
        step()
        store_release(&self.line.position, next)            # after the last read of the slot: gate() acquires it
        if rarely(passed >> self.wake_shift):
            self.wake_writers()

    cdef void publish(self) noexcept nogil:
        store_release(&self.line.position, self.cursor)     # pairs with gate(), as in advance
        self.wake_writers()

    cdef void wake_writers(self) noexcept nogil:
        fence_light_side()                                  # pairs with fence_heavy_side in pause
        if load_relaxed_32(&self.control.parked) & WRITERS_PARKED:
            wake(self.control)

    cdef BusStatus look_again(self) noexcept nogil:
        """Why no stamp fits at the cursor: nothing there yet, a claim in flight or of the dead, or a lap behind."""
        cdef uint64_t head
        if was_closed(self) or self.key != self.control.key:    # the latter alone: forked, before Python's hooks ran
            return BUS_STOPPED
        head = load_acquire(&self.control.head)
        if head == self.cursor:
            if self.woken_at != self.cursor:                # once an emptying, or two idle handles wake each other
                self.woken_at = self.cursor
                self.wake_writers()
            return BUS_EMPTY
        if self.copies and head - self.cursor > self.mask + 1:
            return BUS_LAPPED
        settle_stalled(&self.stall, &self.claims, self.cursor, &self.line.sealing)
        return BUS_EMPTY

    cdef BusStatus resume(self) noexcept nogil:
        """Go on half a ring behind the head, where writers will not be again at once."""
        cdef uint64_t head = load_acquire(&self.control.head)
        self.lost_from = self.cursor
        self.cursor = self.next = boundary_from(&self.claims, head - (self.mask + 1) // 2)
        store_relaxed_32(&self.line.gaps, self.line.gaps + 1)
        store_relaxed(&self.line.lost_bytes, self.line.lost_bytes + self.cursor - self.lost_from)
        store_release(&self.line.position, self.cursor)
        return BUS_LAPPED

    cdef BusStatus look_carefully(self, uint64_t position, Slot *slot) noexcept nogil:
        """The slot whose stamp was seen at `position`: copied if it may vanish meanwhile, checked if it can be."""
        cdef uint8_t *source = self.ring + (position & self.mask)
        cdef SlotHeader *header = <SlotHeader *> (self.copy if self.copies else source)
        slot.position = position
        slot.header = header
        slot.payload = <uint8_t *> (header + 1)
        if self.copies:
            copy_racing(self.copy, source, SLOT_HEADER_SIZE)            # first: its size is read once, from the copy
            if header.size <= self.max_payload:
                copy_racing(slot.payload, source + SLOT_HEADER_SIZE, header.size)
            fence_acquire()                                 # pairs with fence_release in claim
            if load_relaxed(&self.control.head) - position > self.mask + 1 or header.size > self.max_payload:
                return BUS_LAPPED
        if self.control.flags & CHECKSUM and header.message != PADDING_ID:
            if header.size > self.max_payload or slot_checksum(header) != header.crc32c:
                return BUS_CORRUPT
        return BUS_OK

    cdef BusStatus look_at(self, uint64_t position, Slot *slot) noexcept nogil:
        cdef BusStatus status
        if position % SLOT_ALIGNMENT or not is_visible(&self.claims, position):
            return BUS_EMPTY
        status = self.look_carefully(position, slot)
        return BUS_EMPTY if status == BUS_LAPPED or slot.header.message == PADDING_ID else status

    cdef BusStatus wait(self, int64_t timeout_ns) noexcept nogil:
        cdef Wait waiting
        cdef SlotHeader *header
        cdef BusStatus status
        begin(&waiting, self.control, READERS_PARKED, timeout_ns)
        while True:
            if load_acquire_32(&self.interrupted):
                store_release_32(&self.interrupted, 0)
                return BUS_STOPPED
            header = <SlotHeader *> (self.ring + (self.cursor & self.mask))
            if load_acquire(&header.stamp) == stamp_of(self.cursor, self.key):
                return BUS_OK
            if waiting.looks_around:
                status = self.look_again()
                if status != BUS_EMPTY:
                    return BUS_OK if status == BUS_LAPPED else status
                waiting.longest_sleep = (
                    RECHECK_NS if load_acquire(&self.control.head) == self.cursor else STALL_RECHECK_NS
                )
            if not pause(&waiting):
                return BUS_EMPTY


cdef CircularReader new_reader(Bus bus, RingMapping mapping, const Claims *claims):
    cdef CircularReader reader = CircularReader.__new__(CircularReader, FROM_A_BUS)
    reader.bus = bus
    reader.mapping = mapping
    reader.claims = claims[0]
    reader.control = claims.control
    reader.line = &reader.own_line
    reader.ring = claims.ring
    reader.mask = claims.mask
    reader.key = claims.control.key
    reader.max_payload = bus.max_payload
    reader.wake_shift = claims.control.section_shift + 3
    return reader


cdef CircularReader new_probe(Bus bus, RingMapping mapping, const Claims *claims):
    cdef CircularReader reader = new_reader(bus, mapping, claims)
    reader.allocate_copy()
    reader.careful = reader.copies = True
    return reader


cdef CircularReader new_registered_reader(
    Bus bus, RingMapping mapping, const Claims *claims, ReaderLine *line, object start, bint gate, object lag_limit
):
    cdef CircularReader reader = new_reader(bus, mapping, claims)
    take_line(reader, line, not gate or lag_limit is not None)
    reader.place(start, gate, lag_limit)
    return reader


cdef CircularReader new_adopted_reader(Bus bus, RingMapping mapping, const Claims *claims, ReaderLine *line):
    cdef CircularReader reader = new_reader(bus, mapping, claims)
    take_line(reader, line, False)
    reader.cursor = reader.next = load_acquire(&line.position)
    return reader


cdef int take_line(CircularReader reader, ReaderLine *line, bint may_be_overtaken) except -1:
    reader.line = line
    tie(&reader.tie, <void **> &reader.line, &reader.own_line, &reader.key)
    reader.copies = may_be_overtaken or (reader.control.flags & OVERFLOW_OVERWRITE) != 0
    reader.careful = reader.copies or (reader.control.flags & CHECKSUM) != 0
    if reader.copies:
        reader.allocate_copy()
    return 0
