from libc.stdint cimport uint8_t, uint64_t

from nanobus.bus.base cimport Slot
from nanobus.core.layout cimport SLOT_ALIGNMENT
from nanobus.dispatch.playback cimport Playback


cdef class Effects(Playback):
    cdef uint64_t first_cause           # effects of what lies before do not count
    cdef uint8_t chosen[0x10000]        # whether a source's sends are wanted


cdef inline uint64_t cause_position(Slot *slot) noexcept nogil:
    """Of a slot that has a cause."""
    return slot.position - <uint64_t> slot.header.cause * SLOT_ALIGNMENT
