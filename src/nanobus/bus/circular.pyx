"""CircularBus: a ring of fixed size in one shareable mapping. Old messages are overwritten once nobody waits for them.

The claim protocol is told in claims.pxd, waiting in waiting.pxd, the slot in core/layout.pxd.
"""
import os
import secrets
import stat

cimport cython
from libc.stdint cimport UINT32_MAX, int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free
from libc.string cimport memcpy

from nanobus.bus.base cimport (
    BUS_CLAIMED, BUS_CORRUPT, BUS_EMPTY, BUS_FULL, BUS_LAPPED, BUS_OK, BUS_STOPPED, BUS_TOO_LARGE, FROM_A_BUS, Bus,
    BusReader, BusStatus, BusWriter, Slot
)
from nanobus.bus.claims cimport (
    REAP_AFTER_NS, SETTLE_AFTER_NS, bind, boundary_from, gate, highest_limit, is_intended, reap, release_reader_line,
    release_writer_line, renew_limit, settle, take_reader_line, take_writer_line
)
from nanobus.bus.control cimport (
    BOUNDARY_COUNT, BYTE_ORDER_MARK, CHECKSUM, CONTROL_VERSION, GATING, MAX_LINES, NOT_GATING, OVERFLOW_ERROR,
    OVERFLOW_OVERWRITE, READERS_PARKED, REVOCABLE, TIMESTAMPS, WAIT_SPIN, WAIT_YIELD, WRITERS_PARKED, ControlBlock,
    ReaderLine, WriterLine
)
from nanobus.bus.waiting cimport RECHECK_NS, STALL_RECHECK_NS, Wait, begin, pause, wake
from nanobus.core.atomics cimport (
    fence_acquire, fence_full, fence_light_side, fence_release, load_acquire, load_acquire_32, load_relaxed,
    load_relaxed_32, store_relaxed, store_release, store_release_32, swap_if_equal
)
from nanobus.core.clock cimport monotonic_ns, unix_ns
from nanobus.core.crc32c cimport crc32c
from nanobus.core.layout cimport PADDING_ID, SLOT_ALIGNMENT, SLOT_HEADER_SIZE, SlotHeader, slot_length, stamp_of
from nanobus.core.parking cimport fence_heavy_side_works
from nanobus.memory.platform cimport round_to_pages
from nanobus.memory.ring cimport RingMapping

from nanobus.bus.statistics import BusStatistics, ReaderStatistics, WriterStatistics
from nanobus.errors import BusFormatError, MappingError, TooManyHandlesError


cdef extern from *:
    """
    static const uint64_t NB_RING_MAGIC = 0x676E69722D626E1A;      /* 0x1A "nb-ring" in the file */
    """
    const uint64_t RING_MAGIC "NB_RING_MAGIC"


cdef extern from "<stdlib.h>" nogil:
    void *aligned_alloc(size_t alignment, size_t size)


cdef dict OVERFLOW_FLAGS = {"block": 0, "error": OVERFLOW_ERROR, "overwrite": OVERFLOW_OVERWRITE}
cdef dict WAIT_FLAGS = {"block": 0, "spin": WAIT_SPIN, "yield": WAIT_YIELD}


cdef class CircularBus(Bus):
    """A ring of messages in memory that threads and processes share.

    Parameters
    ----------
    capacity : int, optional
        Bytes of the ring: a power of two, at least 4096 and a page. May be left out to open an existing `path`.
    path : str, optional
        A file to hold the ring, so that other programs can open it: made with mode 0600 if it does not exist, joined if
        it does. Put it on a memory file system such as /dev/shm. None: anonymous memory.
    overflow : "block", "error" or "overwrite"
        What happens to a writer that would pass the slowest gating reader: it waits, it is told, or it goes on and
        readers are told of a Gap.
    wait : "block", "spin" or "yield"
        How handles wait: briefly spinning and then asleep; on the processor; or yielding it.
    timestamps, checksum : bool
        Whether slots carry the time of their commit (unix ns), and a CRC-32C that readers check.
    writers, readers : int
        How many can be open at a time, 1 to 1024 each. 128 bytes of memory for each.

    Raises
    ------
    BusFormatError
        `path` holds something else, another version, or a ring made with other parameters.
    MappingError
        The operating system refused the memory or the file; `errno` says why.

    Notes
    -----
    A message takes 32 bytes of header plus its payload, rounded up to 32. A payload may be up to half the capacity.
    Every method may be called from any thread; readers, writers and senders serve one thread each.

    A file must not be shortened while it is open. Parameters other than `path` describe a new ring; on an existing one
    `capacity` must fit if it is given, and the others are those it was made with.
    """

    def __init__(self, capacity=None, path=None, *, overflow="block", wait="block", timestamps=False, checksum=False,
                 writers=64, readers=64):
        if self.mapping is not None:
            raise TypeError("a CircularBus is initialised once")
        cdef uint32_t flags = (
            checked_choice("overflow", overflow, OVERFLOW_FLAGS) | checked_choice("wait", wait, WAIT_FLAGS)
            | (TIMESTAMPS if timestamps else 0) | (CHECKSUM if checksum else 0)
        )
        for name, count in (("writers", writers), ("readers", readers)):
            if not 1 <= count <= MAX_LINES:
                raise ValueError(f"{name} must be in 1..{MAX_LINES}, got {count!r}")
        if path is not None:
            path = os.fspath(path)
        cdef size_t control_size = round_to_pages(sizeof(ControlBlock) + (writers + readers) * sizeof(WriterLine))
        cdef RingMapping mapping = None
        while mapping is None:
            mapping = self.open_existing(path, capacity)
            if mapping is None:
                mapping = RingMapping(capacity, control_size, path)
                if mapping.created:
                    write_control(mapping, flags, writers, readers)
                    if path is not None and not mapping.publish():
                        mapping = None                      # somebody else was faster: open theirs
                else:
                    mapping = None
        self.mapping = mapping
        self.capacity = mapping.capacity
        self.path = mapping.path
        bind(&self.claims, <ControlBlock *> mapping.address, mapping.ring)
        self.max_payload = <uint32_t> min(mapping.capacity // 2 - SLOT_HEADER_SIZE, UINT32_MAX)
        self.fence_after_commit = not fence_heavy_side_works()
        self.closed = False
        self.shared_writer = self.keep(self.open_writer())
        self.probe = self.open_probe()

    cdef RingMapping open_existing(self, path, capacity):
        """The ring at `path` if there is one, every field of its control block checked; else None."""
        return attach(path, capacity) if path is not None and os.path.lexists(path) else None

    def statistics(self):
        """Return a BusStatistics: a moment's look at the counters in the control block.

        Works while others write, and after they died; each number is exact, all of them together are not one instant.
        """
        self.check_open()
        cdef ControlBlock *control = self.claims.control
        cdef uint64_t head = load_acquire(&control.head)
        cdef WriterLine *writer
        cdef ReaderLine *reader
        cdef uint32_t index
        writers = []
        readers = []
        for index in range(load_acquire_32(&control.writers_used)):
            writer = &self.claims.writers[index]
            if load_acquire(&writer.owner):
                writers.append(WriterStatistics(
                    process=load_acquire(&writer.owner) & 0x3FFFFF,
                    committed=load_relaxed(&writer.committed), committed_bytes=load_relaxed(&writer.committed_bytes),
                    aborted=load_relaxed(&writer.aborted), full=load_relaxed(&writer.full),
                ))
        for index in range(load_acquire_32(&control.readers_used)):
            reader = &self.claims.readers[index]
            if load_acquire(&reader.owner):
                position = load_acquire(&reader.position)
                readers.append(ReaderStatistics(
                    process=load_acquire(&reader.owner) & 0x3FFFFF,
                    position=position, lag=max(0, head - position),
                    gating=load_acquire_32(&reader.gating) in (GATING, REVOCABLE)
                    and not control.flags & OVERFLOW_OVERWRITE,
                    gaps=load_relaxed_32(&reader.gaps), lost_bytes=load_relaxed(&reader.lost_bytes),
                ))
        return BusStatistics(
            head=head, gate=gate(&self.claims), capacity=self.mapping.capacity,
            committed=load_relaxed(&control.committed) + sum(one.committed for one in writers),
            committed_bytes=load_relaxed(&control.committed_bytes) + sum(one.committed_bytes for one in writers),
            aborted=load_relaxed(&control.aborted) + sum(one.aborted for one in writers),
            full=load_relaxed(&control.full) + sum(one.full for one in writers),
            sealed=load_relaxed(&control.sealed), dead_writers=load_relaxed(&control.dead_writers),
            dead_readers=load_relaxed(&control.dead_readers), revoked_readers=load_relaxed(&control.revoked_readers),
            writers=tuple(writers), readers=tuple(readers),
        )

    cdef BusWriter open_writer(self):
        cdef CircularWriter writer = CircularWriter.__new__(CircularWriter, FROM_A_BUS)
        cdef uint64_t sealing = 0
        writer.line = take_writer_line(&self.claims)
        if writer.line == NULL:
            reap(&self.claims, &sealing)
            writer.line = take_writer_line(&self.claims)
        if writer.line == NULL:
            raise TooManyHandlesError(f"all {self.claims.control.writer_lines} lines for writers are taken")
        writer.bus = self
        writer.mapping = self.mapping
        writer.claims = self.claims
        writer.control = self.claims.control
        writer.ring = self.claims.ring
        writer.mask = self.claims.mask
        writer.key = self.claims.control.key
        writer.max_payload = self.max_payload
        writer.section_shift = self.claims.control.section_shift
        writer.finishes = (self.claims.control.flags & (TIMESTAMPS | CHECKSUM)) != 0
        writer.fence_after_commit = self.fence_after_commit
        return writer

    cdef BusReader open_reader(self, object start, bint gate, object lag_limit):
        cdef CircularReader reader = self.new_reader()
        cdef uint64_t sealing = 0
        cdef ReaderLine *line = take_reader_line(&self.claims)
        if line == NULL:
            reap(&self.claims, &sealing)
            line = take_reader_line(&self.claims)
        if line == NULL:
            raise TooManyHandlesError(f"all {self.claims.control.reader_lines} lines for readers are taken")
        reader.line = line
        reader.copies = not gate or lag_limit is not None or (self.claims.control.flags & OVERFLOW_OVERWRITE) != 0
        reader.careful = reader.copies or (self.claims.control.flags & CHECKSUM) != 0
        if reader.copies:
            reader.allocate_copy()
        reader.place(start, gate, lag_limit)
        return reader

    cdef BusReader open_probe(self):
        cdef CircularReader reader = self.new_reader()
        reader.careful = True
        reader.copies = True
        reader.allocate_copy()
        return reader

    cdef CircularReader new_reader(self):
        cdef CircularReader reader = CircularReader.__new__(CircularReader, FROM_A_BUS)
        reader.bus = self
        reader.mapping = self.mapping
        reader.claims = self.claims
        reader.control = self.claims.control
        reader.line = &reader.own_line
        reader.ring = self.claims.ring
        reader.mask = self.claims.mask
        reader.key = self.claims.control.key
        reader.max_payload = self.max_payload
        reader.wake_shift = self.claims.control.section_shift + 3
        return reader

    cdef uint64_t load_head(self) noexcept nogil:
        return load_acquire(&self.claims.control.head)

    cdef uint64_t load_gate(self) noexcept nogil:
        return gate(&self.claims)

    cdef void wake_all(self) noexcept nogil:
        fence_full()
        wake(self.claims.control)

    cdef bint waits_for_room(self) noexcept nogil:
        return not self.claims.control.flags & OVERFLOW_ERROR


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
        store_release(&self.line.limit, 0)                  # the next claim comes to make_room, and is stopped there
        if load_relaxed(&self.line.intent_length) == 0:     # else the claim still has to end: __dealloc__ frees the line
            release_writer_line(&self.claims, self.line)
            self.line = NULL

    cdef BusStatus claim(self, uint32_t size, Slot *slot) noexcept nogil:
        cdef ControlBlock *control = self.control
        cdef WriterLine *line = self.line
        cdef uint64_t length = slot_length(size)
        cdef uint64_t position, end = 0
        cdef BusStatus status
        if size > self.max_payload:
            return BUS_TOO_LARGE
        if line == NULL:
            return BUS_STOPPED
        if load_relaxed(&line.intent_length):
            return BUS_CLAIMED
        position = load_acquire(&control.head)
        while True:
            end = position + length
            if end > load_relaxed(&line.limit):
                status = self.make_room(end)
                if status != BUS_OK:
                    return status
            store_release(&line.intent_position, position)
            store_release(&line.intent_length, length)
            if swap_if_equal(&control.head, &position, end):
                break
            store_release(&line.intent_length, 0)
        fence_release()                                     # pairs with fence_acquire in look_carefully
        if (position ^ end) >> self.section_shift:
            store_release(&control.boundaries[(end >> self.section_shift) & (BOUNDARY_COUNT - 1)], end)
        slot.position = position
        slot.header = <SlotHeader *> (self.ring + (position & self.mask))
        slot.payload = <uint8_t *> (slot.header + 1)
        slot.header.size = size
        slot.header.timestamp = 0
        slot.header.crc32c = 0
        slot.header.cause = 0
        return BUS_OK

    cdef void commit(self, Slot *slot) noexcept nogil:
        cdef WriterLine *line = self.line
        store_relaxed(&line.committed, line.committed + 1)
        store_relaxed(&line.committed_bytes, line.committed_bytes + slot.header.size)
        if self.finishes:
            self.finish(slot.header)
        store_release(&slot.header.stamp, stamp_of(slot.position, self.key))
        store_release(&line.intent_length, 0)               # after the stamp: settle looks at the stamp last
        if self.fence_after_commit:
            fence_full()
        fence_light_side()                                  # pairs with fence_heavy_side in pause
        if load_relaxed_32(&self.control.parked):
            wake(self.control)

    cdef void abort(self, Slot *slot) noexcept nogil:
        cdef WriterLine *line = self.line
        store_relaxed(&line.aborted, line.aborted + 1)
        slot.header.source = 0
        slot.header.message = PADDING_ID
        slot.header.cause = 0
        store_release(&slot.header.stamp, stamp_of(slot.position, self.key))
        store_release(&line.intent_length, 0)
        fence_full()
        if load_relaxed_32(&self.control.parked):
            wake(self.control)

    cdef void finish(self, SlotHeader *header) noexcept nogil:
        if self.control.flags & TIMESTAMPS:
            header.timestamp = unix_ns()
        if self.control.flags & CHECKSUM:
            header.crc32c = checksum_of(header)

    cdef BusStatus make_room(self, uint64_t end) noexcept nogil:
        """Whether a claim up to `end` may go ahead, looking again how far readers and other claims are."""
        if self.closed:
            return BUS_STOPPED
        if renew_limit(&self.claims, self.line) >= end:
            return BUS_OK
        store_relaxed(&self.line.full, self.line.full + 1)
        return BUS_FULL

    cdef BusStatus wait(self, uint32_t size, int64_t timeout_ns) noexcept nogil:
        cdef Wait waiting
        cdef int64_t reap_at = monotonic_ns() + REAP_AFTER_NS
        if size > self.max_payload:
            return BUS_TOO_LARGE
        if self.line == NULL:
            return BUS_STOPPED
        begin(&waiting, self.control, WRITERS_PARKED, timeout_ns)
        waiting.longest_sleep = STALL_RECHECK_NS            # readers wake writers by the eighth of a ring only
        while True:
            if load_acquire_32(&self.interrupted):
                store_release_32(&self.interrupted, 0)
                return BUS_STOPPED
            if renew_limit(&self.claims, self.line) >= load_acquire(&self.control.head) + slot_length(size):
                return BUS_OK
            if monotonic_ns() > reap_at:
                reap(&self.claims, &self.line.sealing)
                reap_at = monotonic_ns() + REAP_AFTER_NS
            if not pause(&waiting):
                return BUS_FULL


@cython.final
@cython.no_gc_clear         # __dealloc__ needs the mapping
cdef class CircularReader(BusReader):
    """A reader of a CircularBus."""

    def __dealloc__(self):
        free(self.copy)
        if self.line != NULL and self.line != &self.own_line:
            release_reader_line(self.line)

    cdef void close_line(self):
        if self.line != &self.own_line:
            release_reader_line(self.line)
            self.own_line.position = self.cursor
            self.line = &self.own_line
        self.key = ~self.key                                # no stamp fits any more: every look ends in look_again
        self.wake_writers()                                 # whom this reader gated

    cdef int allocate_copy(self) except -1:
        self.copy = <uint8_t *> aligned_alloc(SLOT_ALIGNMENT, slot_length(self.max_payload))
        if self.copy == NULL:
            raise MemoryError(f"no memory for a reader's copy of {self.max_payload} bytes")
        return 0

    cdef int place(self, object start, bint gate, object lag_limit) except -1:
        """Register at `start`; told in claims.pxd, "the gate"."""
        cdef uint64_t head = load_acquire(&self.control.head)
        cdef uint64_t oldest = head - self.mask - 1 if head > self.mask else 0
        cdef uint64_t wanted, position, limit
        if start == "newest":
            wanted = head
        elif start == "oldest":
            wanted = boundary_from(&self.claims, oldest)
        elif 0 <= start <= head:
            wanted = start
        else:
            raise ValueError(f"start must be a position in 0..{head}, the head, got {start}")
        position = wanted if wanted >= oldest else boundary_from(&self.claims, oldest)
        store_release(&self.line.position, position)
        if gate and not self.control.flags & OVERFLOW_OVERWRITE:
            store_relaxed(&self.line.lag_limit, lag_limit or 0)
            store_release_32(&self.line.gating, GATING if lag_limit is None else REVOCABLE)
            while True:
                fence_full()                                # pairs with the fence in renew_limit
                limit = highest_limit(&self.claims)
                if limit <= position + self.mask + 1:
                    break
                position = boundary_from(&self.claims, limit - self.mask - 1)
                store_release(&self.line.position, position)
        self.cursor = self.next = position
        if position != wanted and not isinstance(start, str):
            raise ValueError(f"start must not be overwritten yet: the oldest message kept is at {position}, got {start}")
        if position < head and not self.is_boundary(position):
            raise ValueError(f"start must be the position of a message, and none starts at {start}")
        return 0

    cdef bint is_boundary(self, uint64_t position) noexcept nogil:
        # The intent first: it is cleared after the stamp is written.
        return is_intended(&self.claims, position) or load_acquire(
            &(<SlotHeader *> (self.ring + (position & self.mask))).stamp
        ) == stamp_of(position, self.key)

    cdef BusStatus peek(self, Slot *slot) noexcept nogil:
        cdef SlotHeader *header
        cdef BusStatus status
        while True:
            header = <SlotHeader *> (self.ring + (self.cursor & self.mask))
            if load_acquire(&header.stamp) != stamp_of(self.cursor, self.key):     # pairs with commit, abort, settle
                status = self.look_again()
                return self.resume() if status == BUS_LAPPED else status
            if self.careful:
                status = self.look_carefully(self.cursor, slot)
                if status == BUS_LAPPED:
                    return self.resume()
                if status == BUS_CORRUPT and slot.header.size > self.max_payload:
                    self.next = boundary_from(&self.claims, self.cursor + 1)
                else:
                    self.next = self.cursor + slot_length(slot.header.size)
                if status == BUS_CORRUPT or slot.header.message != PADDING_ID:
                    return status
            else:
                slot.position = self.cursor
                slot.header = header
                slot.payload = <uint8_t *> (header + 1)
                self.next = self.cursor + slot_length(header.size)
                if header.message != PADDING_ID:
                    return BUS_OK
            self.advance()

    cdef void advance(self) noexcept nogil:
        cdef uint64_t passed = self.cursor ^ self.next
        self.cursor = self.next
        store_release(&self.line.position, self.cursor)     # after the last read of the slot: gate() acquires it
        if passed >> self.wake_shift:
            self.wake_writers()

    cdef void wake_writers(self) noexcept nogil:
        fence_light_side()                                  # pairs with fence_heavy_side in pause
        if load_relaxed_32(&self.control.parked) & WRITERS_PARKED:
            wake(self.control)

    cdef BusStatus look_again(self) noexcept nogil:
        """Why no stamp fits at the cursor: nothing there yet, a claim in flight or of the dead, or a lap behind."""
        cdef uint64_t head
        cdef int64_t now
        if self.closed:
            return BUS_STOPPED
        head = load_acquire(&self.control.head)
        if head == self.cursor:
            if self.woken_at != self.cursor:                # once an emptying, or two idle handles wake each other forever
                self.woken_at = self.cursor
                self.wake_writers()
            return BUS_EMPTY
        if self.copies and head - self.cursor > self.mask + 1:
            return BUS_LAPPED
        now = monotonic_ns()
        if self.stalled_at != self.cursor or self.stalled_since == 0:
            self.stalled_at = self.cursor
            self.stalled_since = now
        elif now - self.stalled_since > SETTLE_AFTER_NS:
            settle(&self.claims, self.cursor, &self.line.sealing)
            self.stalled_since = now
        return BUS_EMPTY

    cdef BusStatus resume(self) noexcept nogil:
        """Go on half a ring behind the head, where writers will not be again at once."""
        cdef uint64_t head = load_acquire(&self.control.head)
        self.lost_from = self.cursor
        self.cursor = self.next = boundary_from(&self.claims, head - (self.mask + 1) // 2)
        self.line.gaps += 1
        store_relaxed(&self.line.lost_bytes, self.line.lost_bytes + self.cursor - self.lost_from)
        store_release(&self.line.position, self.cursor)
        return BUS_LAPPED

    cdef BusStatus look_carefully(self, uint64_t position, Slot *slot) noexcept nogil:
        """The slot whose stamp was seen at `position`: copied if it may vanish meanwhile, checked if it can be."""
        cdef SlotHeader *header = <SlotHeader *> (self.ring + (position & self.mask))
        cdef uint32_t size = header.size
        slot.position = position
        slot.header = header
        slot.payload = <uint8_t *> (header + 1)
        if self.copies:
            if size <= self.max_payload:
                memcpy(self.copy, header, SLOT_HEADER_SIZE + size)
            fence_acquire()                                 # pairs with fence_release in claim
            if load_relaxed(&self.control.head) - position > self.mask + 1 or size > self.max_payload:
                return BUS_LAPPED
            slot.header = <SlotHeader *> self.copy
            slot.payload = self.copy + SLOT_HEADER_SIZE
        if self.control.flags & CHECKSUM and slot.header.message != PADDING_ID:
            if size > self.max_payload or checksum_of(slot.header) != slot.header.crc32c:
                return BUS_CORRUPT
        return BUS_OK

    cdef BusStatus look_at(self, uint64_t position, Slot *slot) noexcept nogil:
        cdef SlotHeader *header = <SlotHeader *> (self.ring + (position & self.mask))
        cdef BusStatus status
        if position % SLOT_HEADER_SIZE or load_acquire(&header.stamp) != stamp_of(position, self.key):
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
            status = self.look_again()
            if status != BUS_EMPTY:
                return BUS_OK if status == BUS_LAPPED else status
            waiting.longest_sleep = (
                RECHECK_NS if load_acquire(&self.control.head) == self.cursor else STALL_RECHECK_NS
            )
            if not pause(&waiting):
                return BUS_EMPTY


cdef inline uint32_t checksum_of(const SlotHeader *header) noexcept nogil:
    """CRC-32C of size, source, message, timestamp, cause and payload; the stamp vouches for the position."""
    cdef const uint8_t *bytes = <const uint8_t *> header
    cdef uint32_t crc = crc32c(0, bytes + 8, 16)
    return crc32c(crc, bytes + 28, 4 + header.size)


cdef int write_control(RingMapping mapping, uint32_t flags, uint32_t writers, uint32_t readers) except -1:
    """Write the control block of a new ring, whose bytes are zero and which nobody else can see yet."""
    cdef ControlBlock *control = <ControlBlock *> mapping.address
    control.magic = RING_MAGIC
    control.version = CONTROL_VERSION
    control.byte_order = BYTE_ORDER_MARK
    control.key = secrets.randbits(63) + 1
    control.capacity = mapping.capacity
    control.control_size = mapping.control_size
    control.flags = flags
    control.writer_lines = writers
    control.reader_lines = readers
    control.section_shift = (mapping.capacity // BOUNDARY_COUNT).bit_length() - 1
    return 0


cdef RingMapping attach(str path, object capacity):
    """Map the ring at `path` once every field of its control block has been checked; None if it is gone meanwhile."""
    cdef ControlBlock control
    cdef RingMapping mapping
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MappingError(error.errno, f"cannot open the ring {path!r}: {os.strerror(error.errno)}") from error
    try:
        head = os.read(descriptor, sizeof(ControlBlock)) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    finally:
        os.close(descriptor)
    if len(head) < sizeof(ControlBlock):
        raise BusFormatError(f"{path!r} is no ring: it is shorter than a control block, or no regular file")
    memcpy(&control, <const char *> head, sizeof(ControlBlock))
    if control.magic != RING_MAGIC:
        raise BusFormatError(f"{path!r} is no ring: its magic number is {control.magic:#x}, not {RING_MAGIC:#x}")
    if control.byte_order != BYTE_ORDER_MARK:
        raise BusFormatError(f"{path!r} was written with another byte order")
    if control.version != CONTROL_VERSION:
        raise BusFormatError(f"{path!r} is a ring of version {control.version}, this is version {CONTROL_VERSION}")
    lines = control.writer_lines + control.reader_lines
    if (
        control.key == 0 or not 1 <= control.writer_lines <= MAX_LINES or not 1 <= control.reader_lines <= MAX_LINES
        or control.control_size != round_to_pages(sizeof(ControlBlock) + lines * sizeof(WriterLine))
        or control.section_shift != (control.capacity // BOUNDARY_COUNT).bit_length() - 1
        or control.writers_used > control.writer_lines or control.readers_used > control.reader_lines
    ):
        raise BusFormatError(f"the control block of {path!r} contradicts itself")
    if capacity is not None and capacity != control.capacity:
        raise BusFormatError(f"{path!r} is a ring of {control.capacity} bytes, not {capacity}")
    mapping = RingMapping(control.capacity, control.control_size, path)
    return None if mapping.created else mapping


cdef uint32_t checked_choice(str name, object value, dict choices) except? 0xFFFFFFFF:
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{name} must be one of {', '.join(map(repr, choices))}, got {value!r}")
    return choices[value]
