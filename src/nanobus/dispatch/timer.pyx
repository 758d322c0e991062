"""What an `@every` becomes in a worker."""
cimport cython
from libc.stdint cimport int64_t, uint16_t, uint32_t
from libc.string cimport memcmp

from nanobus.bus.base cimport Slot


@cython.final
cdef class Timer:
    """A method to be called every `period` ns, through a message on the bus.

    A tick that was not handled yet is not sent again: a worker that lags skips ticks, it does not pile them up.
    """

    def __cinit__(self, method, int64_t period, uint32_t handler, uint16_t source, uint32_t index, shard=None):
        if period <= 0:
            raise ValueError(f"period must be > 0 ns, got {period}")
        self.method = method
        self.period = period
        self.handler = handler
        self.source = source
        self.tick[0] = index
        self.tick[1] = 0 if shard is None else <uint32_t> shard
        self.tick_size = sizeof(uint32_t) if shard is None else 2 * sizeof(uint32_t)

    cdef bint wrote(self, const Slot *slot) noexcept:
        return (
            self.source == slot.header.source and slot.header.size == self.tick_size
            and not memcmp(self.tick, slot.payload, self.tick_size)
        )
