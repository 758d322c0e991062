"""Handlers that are C functions: what they get, and what a worker calls.

    int32_t handle(const NativeMessage *message, const void *payload, void *outlet, void *state)

runs in its worker's thread, without the GIL wherever no Python method receives the same message. `payload` lies in the
bus, 32-byte aligned, and is there until the function returns; `state` is the handler's own; `outlet` is what
`permits.send` takes. 0 is success, anything else an error of the handler.
"""
cimport cython
from libc.stdint cimport int32_t, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from nanobus.bus.codec cimport Codec
from nanobus.dispatch.service cimport Service
from nanobus.dispatch.permits cimport Grant, Permit

# 32 bytes; nanobus.natives has it for C, ctypes and numpy.
cdef struct NativeMessage:
    uint64_t position
    uint64_t cause                      # position of the message that this one was sent because of; highest u64: none
    int64_t timestamp                   # unix ns; 0 on a bus that writes none
    uint32_t size                       # bytes of the payload
    uint16_t source
    uint16_t message_id

ctypedef int32_t (*NativeFunction)(
    const NativeMessage *message, const void *payload, void *outlet, void *state
) noexcept nogil


cdef class NativeService(Service):
    """The base of handlers with C state: `cdef class Core(NativeService)`, `class Risk(Core, Handler, id=2)`."""
    cdef uint64_t number                # of the permit, once the worker runs

    # Every message that a native method without a function brings; 0, or what went wrong.
    cdef int32_t receive(self, const NativeMessage *message, const void *payload) noexcept nogil

    # Send in the name of this handler: a NativeStatus. While the worker runs, in its thread.
    @cython.final
    cdef int32_t send_payload(self, uint16_t message_id, const void *payload, uint32_t size) noexcept nogil


cdef class NativeCall:
    """What an entry of the routing table calls natively, and everything that has to live as long."""
    cdef NativeFunction function
    cdef Grant *grant                   # of the permit
    cdef void *outlet
    cdef void *state
    cdef readonly uint32_t size         # bytes a payload must have; 0: any
    cdef object owner                   # of what `state` points to
    cdef Permit permit


# A payload as a message with bytes of its own, to be shown in an error; None where it cannot be decoded.
cdef object copy_of(Codec codec, const uint8_t *payload, uint32_t size)
