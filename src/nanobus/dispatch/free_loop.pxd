cimport cython
from libc.stdint cimport int32_t, int64_t, uint32_t, uint64_t

from nanobus.bus.base cimport BusReader, BusStatus, Slot
from nanobus.core.atomics cimport store_relaxed
from nanobus.core.branches cimport rarely
from nanobus.dispatch.batches cimport Batch
from nanobus.dispatch.division cimport Division
from nanobus.dispatch.native cimport NativeMessage
from nanobus.dispatch.outlet cimport Outlet
from nanobus.dispatch.router cimport Entry, Router, Row, find_row

cdef enum:
    CALLS = 64                          # native ones between looks at the clock, at most
    PYTHON_CALLS = 16                   # the same, of Python handlers
    LONGEST_TURN_NS = 1_000_000         # after which timers, hooks, the outbox and a stop are looked at


cdef class FreeLoop:
    cdef readonly Outlet outlet
    cdef BusReader reader
    cdef Router router
    cdef Division division              # None: every message that has a receiver is for this loop
    cdef bint has_turn_hooks
    cdef int64_t idle_ns                # longest wait of a worker with turn hooks
    cdef int64_t next_due               # monotonic ns; highest i64: no timers
    cdef uint64_t stop_at               # atomic: handle no slot at or past it
    cdef bint failed
    cdef uint64_t messages_handled      # atomic: that had a receiver here
    cdef uint64_t messages_skipped      # atomic: that had none, or were another shard's

    # Whatever needs no GIL, and waiting; the status that ended it, BUS_OK where the GIL is needed.
    @cython.final
    cdef BusStatus run_freely(self) noexcept nogil

    # Whether a run with so many calls makes way for what needs the GIL. `begun`: 0 until the first look.
    @cython.final
    cdef bint is_over(self, int64_t *begun, uint32_t calls) noexcept nogil

    @cython.final
    cdef void call_natives(self, Row *row, Slot *slot) noexcept nogil

    @cython.final
    cdef void call_native(self, Row *row, Entry *entry, Slot *slot, const void *payload, uint32_t size) noexcept nogil

    # Put the message in the slot, and what follows it in the same row, into an empty batch; the reader then is behind
    # them, which it keeps to itself. The status that ended it.
    @cython.final
    cdef BusStatus gather(self, Batch batch, Row *row, Slot *slot) noexcept nogil

    @cython.final
    cdef int64_t rest_ns(self, int64_t until) noexcept nogil

    @cython.final
    cdef void call(
        self, Row *row, Entry *entry, Slot *slot, const NativeMessage *message, const void *payload
    ) noexcept nogil

    @cython.final
    cdef void end_badly_with_gil(self, Row *row, Entry *entry, Slot *slot, int32_t result) noexcept nogil

    # A native receiver has returned `result`: that, or what it did meanwhile, is an error.
    cdef void end_badly_natively(self, Row *row, Entry *entry, Slot *slot, int32_t result) noexcept


# Who receives a message here; NULL also where it is another shard's.
cdef inline Row *find_own_row(FreeLoop loop, const Slot *slot) noexcept nogil:
    cdef Row *row = find_row(loop.router, slot.header.source, slot.header.message)
    if rarely(loop.division is not None) and row != NULL and not row.asks:
        return row if loop.division.shard_in(slot) == loop.outlet.shard else NULL
    return row


# How many calls come before the next look at the clock: 1, 2, 4 and so on up to `most`, from then on `most` more. What
# is slow from the beginning is found soon, what is fast hardly looks; and as one looks where there is another message,
# not behind the last, who has but one a turn never does.
cdef inline uint32_t next_look(uint32_t calls, uint32_t most) noexcept nogil:
    return calls + min(max(calls, <uint32_t> 1), most)


# One more of what other threads read while this one, alone, counts.
cdef inline void count(uint64_t *messages) noexcept nogil:
    store_relaxed(messages, messages[0] + 1)
