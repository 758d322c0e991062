# cython: boundscheck=False, wraparound=False, cdivision=True
"""Loops over any bus, without the GIL: nothing here knows which one it is.

Messages have a number in front, their place in what their sender sends. A sum of them tells whether all came.
"""
cimport cython
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from nanobus.bus.base cimport (
    BUS_EMPTY, BUS_FULL, BUS_OK, BusHandle, BusReader, BusStatus, BusWriter, Slot
)
from nanobus.bus.slot_writer cimport batch_size, slot_in_batch
from nanobus.core.clock cimport monotonic_ns

cdef int64_t PATIENCE_NS = 20_000_000_000       # a wait this long is a hang


cdef int begin(BusHandle handle) except -1:
    with cython.critical_section(handle):
        handle.begin_use()
    return 0


cdef int end(BusHandle handle) except -1:
    with cython.critical_section(handle):
        handle.end_use()
    return 0


cdef inline BusStatus claim(BusWriter writer, uint32_t size, Slot *slot) noexcept nogil:
    """Claim, waiting for room."""
    cdef BusStatus status = writer.claim(size, slot)
    while status == BUS_FULL:
        status = writer.wait(size, PATIENCE_NS)
        if status != BUS_OK:
            break
        status = writer.claim(size, slot)
    return status


cdef inline BusStatus peek(BusReader reader, Slot *slot) noexcept nogil:
    """Peek, waiting for a message."""
    cdef BusStatus status = reader.peek(slot)
    while status == BUS_EMPTY:
        status = reader.wait(PATIENCE_NS)
        if status != BUS_OK:
            break
        status = reader.peek(slot)
    return status


cdef int check(str what, uint64_t done, uint64_t count, BusStatus status) except -1:
    if done != count:
        raise RuntimeError(f"{what} {done} of {count} messages, then status {<int> status}")
    return 0


def write_and_read(BusWriter writer not None, BusReader reader not None, uint64_t count):
    """Write and read `count` messages of 32 bytes, one after the other, in this thread."""
    cdef uint64_t number = 0, total = 0
    cdef BusStatus status = BUS_OK
    cdef Slot slot
    with nogil:
        while number < count:
            status = writer.claim(32, &slot)
            if status != BUS_OK:
                break
            slot.header.source = 1
            slot.header.message = 1
            (<uint64_t *> slot.payload)[0] = number
            writer.commit(&slot)
            status = reader.peek(&slot)
            if status != BUS_OK:
                break
            total += (<uint64_t *> slot.payload)[0]
            reader.advance()
            number += 1
    check("wrote and read", number, count, status)
    return total


def write_and_read_batches(BusWriter writer not None, BusReader reader not None, uint32_t batch, uint64_t count):
    """As `write_and_read`, `batch` messages in one claim, which are read one by one."""
    cdef uint64_t number = 0, total = 0
    cdef uint32_t many, index, _index
    cdef BusStatus status = BUS_OK
    cdef Slot claimed, slot
    with nogil:
        while number < count:
            many = <uint32_t> min(<uint64_t> batch, count - number)
            status = writer.claim(batch_size(many, 32), &claimed)
            if status != BUS_OK:
                break
            for index in range(many):
                slot_in_batch(&claimed, index, 32, &slot)
                slot.header.source = 1
                slot.header.message = 1
                (<uint64_t *> slot.payload)[0] = number + index
            writer.commit_batch(&claimed, many, 32)
            for _index in range(many):
                status = reader.peek(&slot)
                if status != BUS_OK:
                    break
                total += (<uint64_t *> slot.payload)[0]
                reader.advance()
                number += 1
            if status != BUS_OK:
                break
    check("wrote and read", number, count, status)
    return total


def append(BusWriter writer not None, const unsigned char[::1] payload, uint64_t count):
    """Write `payload` `count` times, to a bus where nobody holds writers up."""
    cdef uint64_t number = 0
    cdef uint32_t size = <uint32_t> payload.shape[0]
    cdef const unsigned char *source = &payload[0]
    cdef BusStatus status = BUS_OK
    cdef Slot slot
    with nogil:
        while number < count:
            status = writer.claim(size, &slot)
            if status != BUS_OK:
                break
            slot.header.source = 1
            slot.header.message = 1
            memcpy(slot.payload, source, size)
            writer.commit(&slot)
            number += 1
    check("wrote", number, count, status)


def scan(BusReader reader not None):
    """Read to the end; return how many messages and bytes of payload there were."""
    cdef uint64_t messages = 0, size = 0
    cdef Slot slot
    with nogil:
        while reader.peek(&slot) == BUS_OK:
            messages += 1
            size += slot.header.size
            reader.advance()
    return messages, size


def produce(BusWriter writer not None, uint16_t source, const unsigned char[::1] payload, uint64_t count):
    """Write `count` messages like `payload`, numbered from 0, waiting for room."""
    cdef uint64_t number = 0
    cdef uint32_t size = <uint32_t> payload.shape[0]
    cdef const unsigned char *rest = &payload[8]
    cdef BusStatus status = BUS_OK
    cdef Slot slot
    begin(writer)
    with nogil:
        while number < count:
            status = claim(writer, size, &slot)
            if status != BUS_OK:
                break
            slot.header.source = source
            slot.header.message = 1
            (<uint64_t *> slot.payload)[0] = number
            memcpy(slot.payload + 8, rest, size - 8)
            writer.commit(&slot)
            number += 1
    end(writer)
    check("wrote", number, count, status)


def produce_batches(BusWriter writer not None, uint16_t source, const unsigned char[::1] payload, uint32_t batch,
                    uint64_t count):
    """As `produce`, `batch` messages in one claim."""
    cdef uint64_t number = 0
    cdef uint32_t size = <uint32_t> payload.shape[0], many, index
    cdef const unsigned char *rest = &payload[8]
    cdef BusStatus status = BUS_OK
    cdef Slot claimed, slot
    begin(writer)
    with nogil:
        while number < count:
            many = <uint32_t> min(<uint64_t> batch, count - number)
            status = claim(writer, batch_size(many, size), &claimed)
            if status != BUS_OK:
                break
            for index in range(many):
                slot_in_batch(&claimed, index, size, &slot)
                slot.header.source = source
                slot.header.message = 1
                (<uint64_t *> slot.payload)[0] = number + index
                memcpy(slot.payload + 8, rest, size - 8)
            writer.commit_batch(&claimed, many, size)
            number += many
    end(writer)
    check("wrote", number, count, status)


def consume(BusReader reader not None, uint64_t count):
    """Read `count` messages where they lie, waiting for them; return the sum of their numbers."""
    cdef uint64_t number = 0, total = 0
    cdef BusStatus status = BUS_OK
    cdef Slot slot
    begin(reader)
    with nogil:
        while number < count:
            status = peek(reader, &slot)
            if status != BUS_OK:
                break
            total += (<uint64_t *> slot.payload)[0]
            reader.advance()
            number += 1
    end(reader)
    check("read", number, count, status)
    return total


def relay(BusReader reader not None, BusWriter writer not None, uint16_t source, uint64_t count):
    """Copy `count` messages from one bus to another one."""
    cdef uint64_t number = 0
    cdef BusStatus status = BUS_OK
    cdef Slot here, there
    begin(reader)
    begin(writer)
    with nogil:
        while number < count:
            status = peek(reader, &here)
            if status != BUS_OK:
                break
            status = claim(writer, here.header.size, &there)
            if status != BUS_OK:
                break
            there.header.source = source
            there.header.message = here.header.message
            memcpy(there.payload, here.payload, here.header.size)
            writer.commit(&there)
            reader.advance()
            number += 1
    end(writer)
    end(reader)
    check("relayed", number, count, status)


def ask(BusWriter writer not None, BusReader reader not None, const unsigned char[::1] payload, uint64_t count):
    """Write a message and wait for the next one that comes back, `count` times."""
    cdef uint64_t number = 0
    cdef uint32_t size = <uint32_t> payload.shape[0]
    cdef const unsigned char *source = &payload[0]
    cdef BusStatus status = BUS_OK
    cdef Slot slot
    begin(reader)
    begin(writer)
    with nogil:
        while number < count:
            status = claim(writer, size, &slot)
            if status != BUS_OK:
                break
            slot.header.source = 1
            slot.header.message = 1
            memcpy(slot.payload, source, size)
            writer.commit(&slot)
            status = peek(reader, &slot)
            if status != BUS_OK:
                break
            reader.advance()
            number += 1
    end(writer)
    end(reader)
    check("asked", number, count, status)


def write_beside(BusWriter writer not None, list readers not None, uint64_t count, uint64_t burst):
    """Write `count` messages of 32 bytes, with readers that are let catch up behind each burst; return the ns of it.

    What readers do is not timed. A burst has to fit the ring.
    """
    cdef uint64_t number = 0, now, one
    cdef int64_t spent = 0, since
    cdef BusStatus status = BUS_OK
    cdef BusReader reader
    cdef Slot slot
    while number < count and status == BUS_OK:
        now = min(burst, count - number)
        with nogil:
            since = monotonic_ns()
            for one in range(now):
                status = writer.claim(32, &slot)
                if status != BUS_OK:
                    break
                slot.header.source = 1
                slot.header.message = 1
                (<uint64_t *> slot.payload)[0] = one
                writer.commit(&slot)
                number += 1
            spent += monotonic_ns() - since
        for each in readers:
            reader = each
            with nogil:
                while reader.peek(&slot) == BUS_OK:
                    reader.advance()
    check("wrote", number, count, status)
    return spent
