from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t

from nanobus.bus.base cimport Bus, BusReader, BusStatus, Slot
from nanobus.bus.claims cimport Claims, Stall
from nanobus.bus.control cimport ControlBlock, ReaderLine
from nanobus.bus.forking cimport Tie
from nanobus.memory.ring cimport RingMapping


cdef class CircularReader(BusReader):
    cdef RingMapping mapping
    cdef Claims claims
    cdef ControlBlock *control
    cdef ReaderLine *line               # &own_line for a probe
    cdef ReaderLine own_line
    cdef Tie tie
    cdef uint8_t *ring
    cdef uint64_t mask
    cdef uint64_t key
    cdef uint64_t next                  # where `advance` goes
    cdef Stall stall                    # the uncommitted slot that was looked at last
    cdef uint64_t woken_at              # cursor at which this reader, finding nothing, last looked for parked writers
    cdef uint32_t max_payload
    cdef uint32_t wake_shift            # a reader wakes parked writers when it passes a multiple of 1 << wake_shift
    cdef bint careful                   # slots are copied or checked before they are handed out
    cdef uint64_t protected_from        # writers that looked before this reader came may write up to here + capacity
    cdef bint arriving                  # the cursor is before `protected_from`
    cdef bint copies                    # writers may overtake: copy the slot, then see that it was still there
    cdef uint8_t *copy                  # 32-byte aligned, header + max_payload

    # Let go of the line without freeing it; NULL: not now, as it does not gate everybody yet.
    cdef ReaderLine *lend_line(self)
    cdef int allocate_copy(self) except -1
    cdef int place(self, object start, bint gate, object lag_limit) except -1
    cdef BusStatus peek_slowly(self, Slot *slot) noexcept nogil
    cdef void arrive(self) noexcept nogil
    cdef bint is_next(self, uint64_t position) noexcept nogil
    cdef bint is_boundary(self, uint64_t position) noexcept nogil
    cdef void wake_writers(self) noexcept nogil
    cdef BusStatus look_again(self) noexcept nogil
    cdef BusStatus resume(self) noexcept nogil
    cdef BusStatus look_carefully(self, uint64_t position, Slot *slot) noexcept nogil


# A reader that has no line and follows nothing: it looks at single slots.
cdef CircularReader new_probe(Bus bus, RingMapping mapping, const Claims *claims)
cdef CircularReader new_registered_reader(
    Bus bus, RingMapping mapping, const Claims *claims, ReaderLine *line, object start, bint gate, object lag_limit
)

# A reader that goes on where `line` stands, which gates already and belongs to this process.
cdef CircularReader new_adopted_reader(Bus bus, RingMapping mapping, const Claims *claims, ReaderLine *line)
