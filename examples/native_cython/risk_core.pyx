"""The compiled half of the handler Risk: C state, and a C method that gets every order."""
from libc.math cimport fabs
from libc.stdint cimport int32_t, int64_t, uint8_t, uint64_t

from nanobus cimport NativeMessage, NativeService

cdef enum:
    DECISION_ID = 2

cdef struct Order:                  # as in messages.py
    uint64_t number
    double price
    int64_t quantity

cdef struct Decision:
    uint64_t number
    double exposure
    uint8_t accepted
    uint8_t unused[7]


cdef class RiskCore(NativeService):
    """Accepts orders as long as what they leave open is worth no more than `limit`.

    Used by its worker's thread.
    """
    cdef public double limit
    cdef readonly double exposure

    cdef int32_t receive(self, const NativeMessage *message, const void *payload) noexcept nogil:
        cdef const Order *order = <const Order *> payload
        cdef double exposure = self.exposure + order.price * order.quantity
        cdef Decision decision
        decision.number = order.number
        decision.accepted = fabs(exposure) <= self.limit
        if decision.accepted:
            self.exposure = exposure
        decision.exposure = self.exposure
        decision.unused = [0, 0, 0, 0, 0, 0, 0]         # they are sent, too
        return self.send_payload(DECISION_ID, &decision, sizeof(decision))
