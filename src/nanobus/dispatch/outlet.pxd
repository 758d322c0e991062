from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from nanobus.bus.base cimport BusStatus, BusWriter, Slot
from nanobus.bus.codec cimport Codec
from nanobus.bus.sender cimport InPlaceClaim
from nanobus.dispatch.outbox cimport Outbox
from nanobus.dispatch.recording cimport Recording


cdef class OutletClaim(InPlaceClaim)


cdef class Outlet:
    """One per worker; used by its thread only."""
    cdef BusWriter writer
    cdef Outbox outbox
    cdef object request_stop            # called by a handler that wants the messenger to stop
    cdef uint32_t shard                 # of its worker; 0 where there is but one
    cdef uint64_t position              # of the message at hand, or NO_CAUSE
    cdef int64_t timestamp              # of the message at hand; 0: not known yet
    cdef Recording recording            # sees every send first; None while the worker runs live
    cdef OutletClaim claimed            # the first claim that is open: what is sent meanwhile goes behind it
    cdef bint sends_once                # what a worker sends is to be the same the next time, message by message
    cdef bint describes                 # a bus that wants to know of each codec before its first message
    cdef bint stop_wanted               # a handler asked; the loop passes it on when the outbox is empty
    cdef unsigned long thread           # the worker's
    cdef object recent_type             # of the message that was sent last; None: there was none
    cdef Codec recent_codec             # of that class, for the life of the process

    cdef object abort_open_claim(self)  # the error that it was open, or another that came up; None: there was none
    # In the name of `source`: an object of any declared class, or the bytes of one.
    cdef int send(self, uint16_t source, object message) except -1
    cdef int put(self, uint16_t source, uint16_t message, const uint8_t *payload, Py_ssize_t size) except -1
    cdef bint diverts(self, uint16_t source, uint16_t message, const uint8_t *payload, Py_ssize_t size) except -1
    cdef int hold(self, uint16_t source, uint16_t message, const uint8_t *payload, uint32_t size) except -1
    cdef int check_room(self, BusStatus status, Py_ssize_t size) except -1
    # Send what is held, as far as there is room; where the bus refuses for another reason, say so.
    cdef int flush(self) except -1
    cdef int end_flush(self, BusStatus status) except -1    # what is to be done behind each flush of the outbox


cdef class OutletClaim(InPlaceClaim):
    cdef Outlet outlet
    cdef uint16_t source
    cdef uint8_t *staged                # memory of its own; NULL while the claim is in a slot
    cdef list behind                    # (source, message, payload) sent while this claim was the first one open
    cdef Slot slot

    cdef int finish_staged(self, bint commit) except -1


# HandleInUseError in any other thread than a worker's `thread`.
cdef int check_thread(unsigned long thread) except -1
