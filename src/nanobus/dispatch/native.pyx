"""Native receivers of messages. What they are called with is in native.pxd."""
cimport cython
from cpython.buffer cimport PyBUF_WRITABLE, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uintptr_t

from nanobus.bus.codec cimport Codec
from nanobus.dispatch.service cimport Service
from nanobus.dispatch.permits cimport NATIVE_NO_RECEIVE, Permit, send


cdef class NativeService(Service):
    """The compiled half of a handler that is compiled itself.

    Notes
    -----
    A Cython class extends it and overrides `receive`; a Python class extends that one and Handler, in this order, and
    declares which messages it receives so: `quotes = on(Quote)(native(sends=[Order]))`.
    """

    cdef int32_t receive(self, const NativeMessage *message, const void *payload) noexcept nogil:
        return NATIVE_NO_RECEIVE

    cdef int32_t send_payload(self, uint16_t message_id, const void *payload, uint32_t size) noexcept nogil:
        return send(<void *> <uintptr_t> self.number, message_id, payload, size)


@cython.final
cdef class HeldBuffer:
    """Keeps the bytes of an object where they are."""
    cdef Py_buffer buffer

    def __cinit__(self, exporter):
        PyObject_GetBuffer(exporter, &self.buffer, PyBUF_WRITABLE)

    def __dealloc__(self):
        PyBuffer_Release(&self.buffer)


@cython.final
cdef class NativeCall:
    """A native receiver of a running worker.

    Parameters
    ----------
    service : Service
        The handler.
    permit : Permit
        The handler's.
    address : int
        Of the function; 0: the `receive` of the service, a NativeService.
    state : object
        A writable C-contiguous buffer whose address the function gets, kept where it is as long as this lives; None:
        it gets NULL.
    size : int
        Bytes that a payload must have; 0: any number of them.

    Notes
    -----
    Immutable.
    """

    def __cinit__(self, Service service not None, Permit permit not None, uintptr_t address, state, uint32_t size):
        self.permit = permit
        self.grant = permit.grant
        self.outlet = <void *> <uintptr_t> permit.number
        self.size = size
        if address:
            self.function = <NativeFunction> <void *> address
            if state is not None:
                self.owner = HeldBuffer(state)
                self.state = (<HeldBuffer> self.owner).buffer.buf
        else:
            (<NativeService?> service).number = permit.number
            self.function = call_receive
            self.state = <void *> service
            self.owner = service


cdef int32_t call_receive(const NativeMessage *message, const void *payload, void *outlet, void *state) noexcept nogil:
    return (<NativeService> state).receive(message, payload)


cdef object copy_of(Codec codec, const uint8_t *payload, uint32_t size):
    try:
        return codec.decode_payload(PyBytes_FromStringAndSize(<const char *> payload, size))
    except Exception:
        return None
