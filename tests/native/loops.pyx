# cython: boundscheck=False, wraparound=False, cdivision=True
"""Native loops over any bus: nothing here knows which one it is."""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from nanobus.bus.base cimport (
    BUS_EMPTY, BUS_FULL, BUS_LAPPED, BUS_OK, BusReader, BusStatus, BusWriter, Slot
)
from nanobus.bus.slot_writer cimport batch_size, slot_in_batch

cdef int64_t SECOND_NS = 1_000_000_000
cdef int64_t PATIENCE_NS = 20 * SECOND_NS       # a wait this long is a hang


cdef struct Numbered:
    uint64_t number                     # counts from 0 for each source
    uint64_t filler[3]


def write_and_read(BusWriter writer not None, BusReader reader not None, uint64_t count):
    """Write and read `count` 32-byte messages, one after the other, in this thread; return the sum of their numbers."""
    cdef uint64_t number, total = 0
    cdef Slot slot
    with nogil:
        for number in range(count):
            if writer.claim(sizeof(Numbered), &slot) != BUS_OK:
                break
            slot.header.source = 1
            slot.header.message = 1
            (<Numbered *> slot.payload).number = number
            writer.commit(&slot)
            if reader.peek(&slot) != BUS_OK:
                break
            total += (<Numbered *> slot.payload).number
            reader.advance()
    return total


def write_numbered(BusWriter writer not None, int source, uint64_t count, uint64_t abort_every=0):
    """Write `count` messages numbered from 0, aborting a claim before every `abort_every`th; return how many."""
    cdef uint64_t number = 0, aborts = 0
    cdef BusStatus status = BUS_OK
    cdef Slot slot
    writer.busy = True
    with nogil:
        while number < count:
            status = writer.claim(sizeof(Numbered), &slot)
            if status == BUS_OK and abort_every and number == aborts * abort_every:
                aborts += 1
                (<Numbered *> slot.payload).number = ~<uint64_t> 0
                writer.abort(&slot)
                status = writer.wait(sizeof(Numbered), PATIENCE_NS)
                if status == BUS_OK:
                    status = writer.claim(sizeof(Numbered), &slot)
            if status == BUS_FULL:
                status = writer.wait(sizeof(Numbered), PATIENCE_NS)
                if status == BUS_OK:
                    continue
            if status != BUS_OK:
                break
            slot.header.source = <unsigned short> source
            slot.header.message = 1
            (<Numbered *> slot.payload).number = number
            writer.commit(&slot)
            number += 1
    writer.busy = False
    return number


def write_batches(BusWriter writer not None, int source, uint64_t count, uint32_t batch):
    """Write `count` messages numbered from 0, in batches; return how many."""
    cdef uint64_t number = 0
    cdef uint32_t index, many
    cdef BusStatus status = BUS_OK
    cdef Slot claimed, slot
    writer.busy = True
    with nogil:
        while number < count:
            many = <uint32_t> min(<uint64_t> batch, count - number)
            status = writer.claim(batch_size(many, sizeof(Numbered)), &claimed)
            if status == BUS_FULL:
                status = writer.wait(batch_size(many, sizeof(Numbered)), PATIENCE_NS)
                if status == BUS_OK:
                    continue
            if status != BUS_OK:
                break
            for index in range(many):
                slot_in_batch(&claimed, index, sizeof(Numbered), &slot)
                slot.header.source = <unsigned short> source
                slot.header.message = 1
                (<Numbered *> slot.payload).number = number + index
            writer.commit_batch(&claimed, many, sizeof(Numbered))
            number += many
    writer.busy = False
    return number


def read_numbered(BusReader reader not None, uint64_t count):
    """Read until `count` messages came, or a Gap counted as lost bytes is all that is left.

    Returns (messages read, lost bytes, order hash, messages out of order, hash per source).
    """
    cdef uint64_t seen = 0, lost = 0, order = 1469598103934665603ULL, disorder = 0
    cdef uint64_t expected[65536]
    cdef uint64_t number
    cdef BusStatus status
    cdef Slot slot
    reader.busy = True
    with nogil:
        for number in range(65536):
            expected[number] = 0
        while seen < count:
            status = reader.peek(&slot)
            if status == BUS_EMPTY:
                status = reader.wait(PATIENCE_NS if lost == 0 else SECOND_NS)
                if status == BUS_OK:
                    continue
            if status == BUS_LAPPED:
                lost += reader.cursor - reader.lost_from
                continue
            if status != BUS_OK:
                break
            number = (<Numbered *> slot.payload).number
            if number != expected[slot.header.source] and (lost == 0 or number < expected[slot.header.source]):
                disorder += 1
            expected[slot.header.source] = number + 1
            order = (order ^ (number * 65536 + slot.header.source)) * 1099511628211ULL
            seen += 1
            reader.advance()
    reader.busy = False
    return seen, lost, order, disorder
