from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t

from nanobus.bus.base cimport Bus, BusWriter, Slot
from nanobus.bus.codec cimport Codec


cdef class Sender:
    cdef readonly Bus bus
    cdef readonly uint16_t source
    cdef BusWriter writer

    cdef void fill(self, const Slot *batch, Codec codec, const uint8_t *rows, uint32_t count) noexcept


cdef class InPlaceClaim:
    """`with ... as record`: a Record written straight into memory that becomes a message when the block ends well."""
    cdef Codec codec
    cdef object message                 # the writable view; None outside the block
    cdef object opener                  # thread that opened it, where something is synced

    cdef uint8_t *begin(self, uint32_t size) except NULL
    cdef int check_end(self, bint commit) except -1     # raises, with the claim still open, where it cannot end here
    cdef int finish(self, bint commit) except -1
    cdef int note_open(self, BusWriter writer) except -1
    # `end` becomes that of what is to be ensured now; 0: nothing.
    cdef int note_end(self, BusWriter writer, uint64_t *end) except -1
    # After the claim of `writer` that ends at `end`: if that ensures, it and what its thread wrote meanwhile is on the
    # disk.
    cdef int ensure_ended(self, BusWriter writer, uint64_t end) except -1
    # Commit or abort; if the writer was closed meanwhile, which left its line to the claim, free that.
    cdef int end_claim(self, BusWriter writer, Slot *slot, bint commit) except -1


cdef class SlotClaim(InPlaceClaim):
    cdef BusWriter writer
    cdef uint16_t source
    cdef uint64_t cause
    cdef object timeout
    cdef Slot slot
