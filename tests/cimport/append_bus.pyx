# cython: boundscheck=False, wraparound=False, cdivision=True
"""AppendBus: a bus written outside nanobus, an append-only log that the threads of one process share.

Nothing is ever overwritten, so there is no gate, and readers need no line: a full log stays full. Here is what the
contract asks for; the Python surface (write, read, reader, sender, iteration, errors) comes from the base classes.
"""
from libc.stdint cimport UINT32_MAX, int64_t, uint8_t, uint32_t, uint64_t
from posix.unistd cimport usleep

from nanobus.bus.base cimport (
    BUS_CLAIMED, BUS_EMPTY, BUS_FULL, BUS_OK, BUS_STOPPED, BUS_TOO_LARGE, FROM_A_BUS, Bus, BusReader, BusStatus,
    BusWriter, Slot
)
from nanobus.core.atomics cimport load_acquire, load_acquire_32, store_release, store_release_32, swap_if_equal
from nanobus.core.clock cimport monotonic_ns
from nanobus.core.layout cimport PADDING_ID, SLOT_HEADER_SIZE, SlotHeader, slot_length, stamp_of
from nanobus.memory.mapping cimport AnonymousMapping

cdef enum:
    KEY = 0x5EED
    POLL_US = 100


cdef class AppendBus(Bus):
    """An append-only log of `capacity` bytes; a writer is told when it is full."""
    cdef AnonymousMapping mapping
    cdef readonly uint64_t capacity
    cdef uint64_t head                  # atomic

    def __init__(self, size_t capacity):
        self.mapping = AnonymousMapping(capacity)
        self.capacity = capacity
        self.max_payload = <uint32_t> min(capacity - SLOT_HEADER_SIZE, <size_t> UINT32_MAX)
        self.closed = False
        self.shared_writer = self.keep(self.open_writer())
        self.probe = self.open_probe()

    cdef SlotHeader *at(self, uint64_t position) noexcept nogil:
        return <SlotHeader *> (self.mapping.address + position)

    cdef bint holds(self, uint64_t position) noexcept nogil:
        """Whether a committed slot starts at `position`."""
        return position <= self.capacity - SLOT_HEADER_SIZE and position % SLOT_HEADER_SIZE == 0 and (
            load_acquire(&self.at(position).stamp) == stamp_of(position, KEY)   # pairs with publish
        )

    cdef BusWriter open_writer(self):
        cdef AppendWriter writer = AppendWriter.__new__(AppendWriter, FROM_A_BUS)
        writer.bus = self
        writer.log = self
        return writer

    cdef BusReader open_reader(self, object start, bint gate, object lag_limit):
        cdef AppendReader reader = AppendReader.__new__(AppendReader, FROM_A_BUS)
        cdef uint64_t head = self.load_head()
        reader.bus = self
        reader.log = self
        if start == "newest":
            reader.cursor = head
        elif start != "oldest":
            if not 0 <= start <= head or (start < head and not self.holds(start)):
                raise ValueError(f"start must be the position of a message, and none starts at {start}")
            reader.cursor = start
        return reader

    cdef BusReader open_probe(self):
        return self.open_reader("oldest", False, None)

    cdef uint64_t load_head(self) noexcept nogil:
        return load_acquire(&self.head)

    cdef bint waits_for_room(self) noexcept nogil:
        return False


cdef class AppendWriter(BusWriter):
    cdef AppendBus log
    cdef bint claimed

    cdef BusStatus claim(self, uint32_t size, Slot *slot) noexcept nogil:
        cdef uint64_t position
        if self.closed:
            return BUS_STOPPED
        if self.claimed:
            return BUS_CLAIMED
        if size > self.log.max_payload:
            return BUS_TOO_LARGE
        position = load_acquire(&self.log.head)
        while True:
            if position + slot_length(size) > self.log.capacity:
                return BUS_FULL
            if swap_if_equal(&self.log.head, &position, position + slot_length(size)):
                break
        self.claimed = True
        slot.position = position
        slot.header = self.log.at(position)
        slot.payload = <uint8_t *> (slot.header + 1)
        slot.header.size = size         # the rest of the header is zero: nobody was ever here
        return BUS_OK

    cdef void publish(self, Slot *slot) noexcept nogil:
        self.claimed = False
        store_release(&slot.header.stamp, stamp_of(slot.position, KEY))

    cdef void commit(self, Slot *slot) noexcept nogil:
        self.publish(slot)

    cdef void abort(self, Slot *slot) noexcept nogil:
        slot.header.message = PADDING_ID
        self.publish(slot)

    cdef BusStatus wait(self, uint32_t size, int64_t timeout_ns) noexcept nogil:
        return BUS_FULL                 # for ever


cdef class AppendReader(BusReader):
    cdef AppendBus log

    cdef BusStatus peek(self, Slot *slot) noexcept nogil:
        if self.closed:
            return BUS_STOPPED
        while self.log.holds(self.cursor):
            slot.position = self.cursor
            slot.header = self.log.at(self.cursor)
            slot.payload = <uint8_t *> (slot.header + 1)
            if slot.header.message != PADDING_ID:
                return BUS_OK
            self.advance()
        return BUS_EMPTY

    cdef void advance(self) noexcept nogil:
        self.cursor += slot_length(self.log.at(self.cursor).size)

    cdef BusStatus wait(self, int64_t timeout_ns) noexcept nogil:
        cdef int64_t until = monotonic_ns()
        cdef Slot slot
        cdef BusStatus status
        until = until + timeout_ns if timeout_ns < (<int64_t> 1 << 62) else <int64_t> 1 << 62
        while True:
            if load_acquire_32(&self.interrupted):
                store_release_32(&self.interrupted, 0)
                return BUS_STOPPED
            status = self.peek(&slot)
            if status != BUS_EMPTY or monotonic_ns() >= until:
                return status
            usleep(POLL_US)

    cdef BusStatus look_at(self, uint64_t position, Slot *slot) noexcept nogil:
        if not self.log.holds(position) or self.log.at(position).message == PADDING_ID:
            return BUS_EMPTY
        slot.position = position
        slot.header = self.log.at(position)
        slot.payload = <uint8_t *> (slot.header + 1)
        return BUS_OK
