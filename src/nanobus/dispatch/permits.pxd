"""What a native function sends through: a permit, which it may keep and use wrongly, and nothing breaks.

    void *outlet = generation << 16 | index           a number, not an address: nobody follows it
                                        |
    grants[index]                       +--> generation as it is now?  else it has ended
                                             the worker's thread?      else refused
                                             among `sends`?            else refused
                                             room on the bus?          claim, copy, commit: no GIL, no object
                                             anything else             with the GIL, as `Service.send` does it

A grant is never freed, so a look at the generation and the thread is safe for ever, and from any thread; the rest of it
is for the worker's thread, while its permit is in force.
"""
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint16_t, uint32_t, uint64_t

from nanobus.dispatch.outlet cimport Outlet

# What `send` returns. Numbers below 0 are nanobus's own, so that a handler may return what `send` did.
cdef enum NativeStatus:
    NATIVE_OK = 0
    NATIVE_FULL = -1            # the outbox is full, or the bus is and does not wait for its readers
    NATIVE_WRONG_SIZE = -2      # the message class has another, or the bus takes none that large
    NATIVE_NOT_DECLARED = -3    # no native method of the handler has the id among its `sends`
    NATIVE_WRONG_THREAD = -4    # not the worker's
    NATIVE_ENDED = -5           # the worker has ended, or it never was an outlet
    NATIVE_CLOSED = -6          # the bus is
    NATIVE_FAILED = -7          # anything else that would be an exception
    NATIVE_NO_RECEIVE = -8      # the handler declares native methods, and its class has no C method `receive`

cdef struct Sendable:
    uint16_t message
    uint32_t size                       # of its payload; 0: any

cdef struct Grant:
    uint64_t number                     # atomic: what `outlet` is; 0: of nobody
    uint64_t thread                     # atomic: the worker's
    PyObject *outlet
    PyObject *refusal                   # the error behind the last refusal that was one; owned
    Sendable *sends
    uint32_t count
    uint16_t source


cdef class Permit:
    cdef Grant *grant
    cdef Outlet outlet

    cdef Sendable *declare(self, list sends) except NULL


# For native functions. From any thread; refuses by its status.
cdef int32_t send(void *outlet, uint16_t message, const void *payload, uint32_t size) noexcept nogil

# The error behind the last refusal, or None; the grant then has it no longer.
cdef object take_refusal(Grant *grant)
# What a native receiver's result, other than NATIVE_OK, comes to.
cdef object native_error(int32_t result, object refusal)
