"""SharedBus: a bus whose control block several processes have mapped, each with claims and lines of its own."""
cimport cython

from nanobus.bus.base cimport Bus, BusReader
from nanobus.bus.claims cimport Claims
from nanobus.bus.control cimport ReaderLine
from nanobus.memory.mapping cimport Mapping


cdef class SharedBus(Bus):
    cdef Mapping memory                 # the control block
    cdef Claims claims
    cdef tuple places                   # weak references to the Places that were made here; as `Bus.handles`
    cdef tuple alarms                   # likewise to what rings when this object is closed
    cdef bint fence_after_commit        # this process cannot be reached by the heavy fence of a parker
    cdef bint begun                     # `__init__` has been called

    # At the start of `__init__`, which a second call would let pull the memory from under the handles of the first.
    @cython.final
    cdef int begin_once(self) except -1

    # Whether the bus is open; then its lines are this process's business until `end_work`.
    cdef bint begin_work(self)
    cdef int end_work(self) except -1
    # Whether a line here is lent to a child process.
    cdef bint lends_lines(self)
    # Let go of the reader's line without freeing it; NULL: not now, as it does not gate everybody yet.
    cdef ReaderLine *lend_line(self, BusReader reader)
    # A reader that goes on where `line` stands, which belongs to this process.
    cdef BusReader open_adopted(self, ReaderLine *line)
    # Settle what the dead left behind.
    cdef int reap_all(self) except -1
