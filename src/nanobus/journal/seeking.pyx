"""Reaching slots outside a handle's own segment."""
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from nanobus.bus.claims cimport Claims
from nanobus.core.layout cimport SLOT_HEADER_SIZE, SlotHeader
from nanobus.journal.segment cimport enter_segment, forget_segment, leave_segment, reach, slot_in, tells_of_journal
from nanobus.journal.store cimport SegmentStore


cdef void begin_seeking(Seeker *seeker, Claims *own, const Claims *claims, SegmentStore store) noexcept nogil:
    forget_segment(&seeker.segment, claims.section)
    seeker.store = <PyObject *> store
    seeker.failure = 0
    own[0] = claims[0]
    own.locate = slot_anywhere
    own.place = seeker


cdef void end_seeking(Seeker *seeker) noexcept nogil:
    leave_segment(&seeker.segment)


cdef SlotHeader *slot_anywhere(const Claims *claims, uint64_t position) noexcept nogil:
    cdef Seeker *seeker = <Seeker *> claims.place
    cdef int error = enter_segment(&seeker.segment, <SegmentStore> seeker.store, claims.control, position)
    if not error:
        error = reach(&seeker.segment, position + SLOT_HEADER_SIZE)
    if error:
        if not tells_of_journal(error):
            seeker.failure = error
        return NULL
    return slot_in(&seeker.segment, position)
