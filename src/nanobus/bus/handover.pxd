"""How a reader's line passes from one process to another, so that writers wait for it all the time.

    parent    Bus.hold         takes a line at the head, names itself as its heir, and gets a Place
    child     Bus.adopt        owner: parent -> child; reads on from the line's position, and publishes there
              reader.close     frees the line, as every reader does: there is nothing to take back
              dies             the line stands where it stood, and gates: its heir is alive, so that nobody reaps it
    parent    place.reclaim    owner: child -> parent; the next child adopts it from there
              place.let_go     frees it, or under a living child forgets that it is the heir
              dies             the line is like any other: its owner alone decides

The child knows the line by a ticket: (index, turn, lender). Once the turn (control.pxd) is over, somebody else has it.
Two words say whose the line is, so their order matters, and tests/model/handover.pml checks it:

    who closes forgets the heir first, then ends the turn: a kill between leaves a line that anybody may free
    who takes back asks for the owner first: once that one is dead, neither turn nor heir change any more

A child asks for turn and heir, then swaps the owner. Its parent must not free the line between: it would swap itself
into whatever the parent took the line for next. Therefore a place is let go only once no child is on its way.
"""
from libc.stdint cimport uint32_t

from nanobus.bus.base cimport Bus
from nanobus.bus.claims cimport Claims
from nanobus.bus.control cimport ReaderLine


cdef class Place:
    cdef Bus bus
    cdef object memory                  # keeps the control block mapped
    cdef Claims claims
    cdef ReaderLine *line
    cdef uint32_t turn
    cdef object __weakref__

    cdef bint is_held(self) noexcept    # by this process, whether a child reads there or not
    cdef bint take_back(self) noexcept
    cdef bint is_ours(self) noexcept
    cdef bint is_at_home(self) noexcept
    cdef void release(self) noexcept


# `line` belongs to this process, and to no handle.
cdef Place new_place(Bus bus, object memory, const Claims *claims, ReaderLine *line)
# Raises where the turn is over.
cdef ReaderLine *adopt_line(Claims *claims, object ticket) except NULL
