"""Permits to send for native functions. Their picture is in permits.pxd."""
import os

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF, Py_XDECREF
from libc.stdint cimport int32_t, uint8_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from nanobus.bus.base cimport BUS_FULL, BUS_OK, BusStatus, Slot, note_codec, was_closed
from nanobus.bus.codec cimport Codec
from nanobus.core.atomics cimport load_acquire, store_release
from nanobus.core.branches cimport rarely
from nanobus.core.layout cimport relative_cause
from nanobus.core.mutex cimport Mutex, init_mutex, lock_mutex, unlock_mutex
from nanobus.dispatch.outlet cimport Outlet
from nanobus.dispatch.service cimport Service, Voice, voice_of

from nanobus.errors import BusClosedError, BusFullError, MessageTooLargeError, NanobusError, NativeHandlerError


cdef extern from "pythread.h":
    unsigned long PyThread_get_thread_ident() noexcept nogil

cdef enum:
    INDEX_BITS = 16
    MOST_GRANTS = 0x10000

cdef dict MEANINGS = {
    NATIVE_FULL: "there was no room for what it sent",
    NATIVE_WRONG_SIZE: "what it sent has another size than its class, or than the bus takes",
    NATIVE_NOT_DECLARED: "it sent a message that `sends` of its handler's native methods does not name",
    NATIVE_WRONG_THREAD: "it sent from another thread than its worker's",
    NATIVE_ENDED: "it sent through an outlet that is none, or whose worker has ended",
    NATIVE_CLOSED: "it sent on a bus that is closed",
    NATIVE_FAILED: "what it sent was refused",
    NATIVE_NO_RECEIVE: "its class does not override the C method `receive` of NativeService",
}

cdef Grant *grants[MOST_GRANTS]
cdef uint64_t generation = 0            # of all numbers together: none comes twice
cdef Mutex grants_mutex                 # of these two


@cython.final
cdef class Permit:
    """What lets the native functions of one handler send, in the thread of its worker, until that ends.

    Parameters
    ----------
    service : Service
        The handler, in a running worker. It ends the permit when it leaves that.
    sends : list of (Codec, int)
        What they may send, and the bytes of its payload; 0: any number of them.

    Raises
    ------
    NotRunningError
        The handler is in no running worker.
    SchemaMismatchError, SchemaError, OSError
        The journal holds another layout of such a message, or its schema.json cannot be read or written.

    Notes
    -----
    Made in the worker's thread.
    """

    def __cinit__(self, Service service not None, list sends not None):
        cdef Sendable *declared
        cdef Codec codec
        cdef Voice voice = voice_of(service)
        self.outlet = voice.outlet
        if self.outlet.describes:
            for codec, _ in sends:
                note_codec(self.outlet.writer.bus, codec)
        declared = self.declare(sends)
        self.grant = take_grant(declared, len(sends))
        if self.grant == NULL:
            free(declared)
            raise NanobusError(f"at most {MOST_GRANTS} handlers of a process have native methods at once")
        self.grant.outlet = <PyObject *> self.outlet
        self.grant.source = voice.source
        store_release(&self.grant.thread, voice.thread)
        voice.permit = self

    def __dealloc__(self):
        self.end()

    @property
    def number(self):
        """What a native function gets as `outlet`; 0 once the permit has ended."""
        return 0 if self.grant == NULL else self.grant.number

    def end(self):
        """Refuse all that is sent from now on. In the worker's thread, or after it."""
        cdef Grant *grant = self.grant
        cdef PyObject *refusal
        if grant == NULL:
            return
        self.grant = NULL
        store_release(&grant.thread, 0)
        refusal = grant.refusal
        grant.refusal = grant.outlet = NULL
        free(grant.sends)
        grant.sends = NULL
        lock_mutex(&grants_mutex)
        store_release(&grant.number, 0)
        unlock_mutex(&grants_mutex)
        Py_XDECREF(refusal)

    cdef Sendable *declare(self, list sends) except NULL:
        cdef Sendable *declared = <Sendable *> calloc(len(sends) + 1, sizeof(Sendable))
        cdef Codec codec
        if declared == NULL:
            raise MemoryError(f"no memory for what {len(sends)} messages a native handler may send")
        for index, (codec, size) in enumerate(sends):
            declared[<size_t> index].message = codec.message_id
            declared[<size_t> index].size = <uint32_t> size
        return declared


def renew_lock():
    """In a forked child: a thread that is not here may have held the old one."""
    init_mutex(&grants_mutex, NULL)


def send_address():
    """Return the address of the C function that native functions send with."""
    return <uintptr_t> &send


cdef Grant *take_grant(Sendable *sends, uint32_t count) noexcept:
    global generation
    cdef Grant *grant = NULL
    cdef uint64_t index
    lock_mutex(&grants_mutex)
    for index in range(<uint64_t> MOST_GRANTS):
        if grants[index] == NULL:
            grants[index] = <Grant *> calloc(1, sizeof(Grant))
        if grants[index] == NULL:
            break
        if grants[index].number == 0:
            grant = grants[index]
            grant.sends = sends
            grant.count = count
            generation += 1
            store_release(&grant.number, generation << INDEX_BITS | index)
            break
    unlock_mutex(&grants_mutex)
    return grant


cdef int32_t send(void *outlet, uint16_t message, const void *payload, uint32_t size) noexcept nogil:
    cdef uint64_t number = <uintptr_t> outlet
    cdef Grant *grant = grants[number % MOST_GRANTS]
    cdef uint32_t index = 0
    if grant == NULL or number == 0 or load_acquire(&grant.number) != number:
        return NATIVE_ENDED
    if load_acquire(&grant.thread) != PyThread_get_thread_ident():
        return NATIVE_WRONG_THREAD if load_acquire(&grant.thread) else NATIVE_ENDED
    while index < grant.count and grant.sends[index].message != message:
        index += 1
    if index == grant.count:
        return NATIVE_NOT_DECLARED
    if grant.sends[index].size and grant.sends[index].size != size:
        return NATIVE_WRONG_SIZE
    if put_freely(<Outlet> grant.outlet, grant.source, message, <const uint8_t *> payload, size):
        return NATIVE_OK
    return put_with_gil(grant, message, <const uint8_t *> payload, size)


cdef bint put_freely(Outlet outlet, uint16_t source, uint16_t message, const uint8_t *payload,
                     uint32_t size) noexcept nogil:
    """What `Outlet.put` does where nothing but the bus and the outbox has a say; whether it was done.

    The writer is in use around every native call, so that nobody frees its line meanwhile; anywhere else, as where a
    Python method or a hook calls C code that sends, the other way takes the writer's lock.
    """
    cdef BusStatus status
    cdef Slot slot
    if rarely(
        not outlet.writer.busy or outlet.claimed is not None or outlet.recording is not None or outlet.writer.ensures
        or was_closed(outlet.writer) or size > outlet.writer.bus.max_payload
    ):
        return False
    if outlet.outbox.count == 0:
        status = outlet.writer.claim(size, &slot)
        if status == BUS_OK:
            slot.header.source = source
            slot.header.message = message
            slot.header.cause = relative_cause(slot.position, outlet.position)
            memcpy(slot.payload, payload, size)
            outlet.writer.commit(&slot)
            return True
        if status != BUS_FULL or not outlet.writer.bus.waits_for_room():
            return False
    return outlet.outbox.push(source, message, outlet.position, payload, size) == 0


cdef int32_t put_with_gil(Grant *grant, uint16_t message, const uint8_t *payload, uint32_t size) noexcept nogil:
    """Send as a Python handler does; keep the error for whoever looks at what the handler returns."""
    cdef PyObject *last
    with gil:
        try:
            if (<Outlet> grant.outlet).writer.closed:
                raise BusClosedError("the bus of this worker is closed")
            (<Outlet> grant.outlet).put(grant.source, message, payload, size)
            return NATIVE_OK
        except BaseException as error:
            if (<Outlet> grant.outlet).writer.busy or not isinstance(error, Exception):     # else nobody asks for it
                last = grant.refusal
                grant.refusal = <PyObject *> error
                Py_INCREF(error)
                Py_XDECREF(last)
            return status_of(error)


cdef object take_refusal(Grant *grant):
    cdef PyObject *refusal = grant.refusal
    grant.refusal = NULL
    if refusal == NULL:
        return None
    error = <object> refusal
    Py_XDECREF(refusal)
    return error


cdef object native_error(int32_t result, object refusal):
    if refusal is not None and not isinstance(refusal, Exception):
        return refusal                                  # an interrupt, which no number stands for
    meaning = MEANINGS.get(result)
    error = NativeHandlerError(
        f"the native handler returned {result}{'' if meaning is None else f': {meaning}'}", code=result
    )
    error.__cause__ = refusal
    return error


cdef int32_t status_of(error) noexcept:
    if isinstance(error, BusFullError):
        return NATIVE_FULL
    if isinstance(error, BusClosedError):
        return NATIVE_CLOSED
    return NATIVE_WRONG_SIZE if isinstance(error, MessageTooLargeError) else NATIVE_FAILED


init_mutex(&grants_mutex, NULL)
os.register_at_fork(after_in_child=renew_lock)
