"""SharedBus: a bus whose control block several processes have mapped, each with claims and lines of its own."""
from nanobus.bus.base cimport Bus, BusReader
from nanobus.bus.claims cimport Claims
from nanobus.bus.control cimport ReaderLine
from nanobus.memory.mapping cimport Mapping


cdef class SharedBus(Bus):
    cdef Mapping memory                 # the control block
    cdef Claims claims
    cdef bint fence_after_commit        # this process cannot be reached by the heavy fence of a parker

    # Let go of the reader's line without freeing it; NULL: not now, as it does not gate everybody yet.
    cdef ReaderLine *lend_line(self, BusReader reader)
    # A reader that goes on where `line` stands, which belongs to this process.
    cdef BusReader open_adopted(self, ReaderLine *line)
    # Settle what the dead left behind.
    cdef int reap_all(self) except -1
