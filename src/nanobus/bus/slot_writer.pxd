from libc.stdint cimport UINT32_MAX, int64_t, uint8_t, uint32_t, uint64_t

from nanobus.bus.base cimport Bus, BusWriter, Slot
from nanobus.bus.claims cimport Claims
from nanobus.bus.control cimport ControlBlock, WriterLine
from nanobus.bus.forking cimport Tie
from nanobus.core.layout cimport SLOT_HEADER_SIZE, SlotHeader, slot_length


cdef class SlotWriter(BusWriter):
    """What every writer of a bus with a control block does alike: lines 6 to 9 of the claim protocol in claims.pxd, and
    letting go. A subclass claims: it decides where there is room.
    """
    cdef Claims claims
    cdef ControlBlock *control
    cdef WriterLine *line
    cdef Tie tie
    cdef uint64_t key
    cdef bint commits_slowly            # timestamps or checksums are written at commit, or a full fence follows it
    cdef bint fence_after_commit        # this process cannot be reached by the heavy fence of a parker

    cdef void join(self, Bus bus, const Claims *claims, WriterLine *line, bint fence_after_commit)
    # What a subclass's `__dealloc__` does once it has untied itself, while its pointers are good, if it has a line.
    cdef void leave(self) noexcept
    cdef void commit_slowly(self, Slot *slot) noexcept nogil
    cdef void publish(self, Slot *slot) noexcept nogil
    cdef int64_t time_of_commit(self) noexcept nogil        # 0 on a bus without timestamps
    cdef void finish_header(self, SlotHeader *header, int64_t timestamp) noexcept nogil
    cdef void wake_others(self) noexcept nogil


cdef inline void open_slot(Slot *slot, uint64_t position, SlotHeader *header, unsigned int size) noexcept nogil:
    """Fill in what is the same for every message. The caller has had its release fence since the head moved."""
    slot.position = position
    slot.header = header
    slot.payload = <unsigned char *> (header + 1)
    header.size = size
    header.timestamp = 0
    header.crc32c = 0
    header.cause = 0


# A batch is one claim of what several slots take, which its commit cuts into slots. See claims.pxd.
#
#     writer.claim(batch_size(count, size), &batch)
#     for each index: slot_in_batch(&batch, index, size, &slot), fill its header and payload as those of any slot
#     writer.commit_batch(&batch, count, size)  or  writer.abort(&batch)

cdef inline uint32_t batch_size(uint32_t count, uint32_t size) noexcept nogil:
    """What to claim for `count` messages, at least one, of `size` bytes each. Too much for any bus, where it is."""
    cdef uint64_t size_in_all = count * slot_length(size) - SLOT_HEADER_SIZE
    return <uint32_t> size_in_all if size_in_all < UINT32_MAX else UINT32_MAX


cdef inline void slot_in_batch(const Slot *batch, uint32_t index, uint32_t size, Slot *slot) noexcept nogil:
    cdef uint64_t offset = index * slot_length(size)
    cdef SlotHeader *header = <SlotHeader *> (<uint8_t *> batch.header + offset)
    # The header of the first says how much is claimed until the commit.
    open_slot(slot, batch.position + offset, header, size if index else batch.header.size)
