"""Batches of messages. Their picture is in batches.pxd."""

cimport cython
from cpython.bytearray cimport PyByteArray_FromStringAndSize
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy

from nanobus.bus.base cimport NO_CAUSE, Slot
from nanobus.dispatch.recording cimport Recording
from nanobus.dispatch.service cimport Service, voice_of

from nanobus.errors import NanobusError


@cython.final
cdef class RefusingRecording(Recording):
    """Refuses what a batch handler sends: nobody knows which messages would come together the next time."""

    cdef bint takes(self, uint16_t source, uint16_t message, uint64_t cause, const uint8_t *payload,
                    Py_ssize_t size) except -1:
        raise NanobusError(
            "a batch handler sends nothing in a worker with a cursor, nor where a replay verifies: which messages come "
            "together is not recorded, so that its sends have no cause that is the same the next time"
        )


@cython.final
cdef class Batch:
    """Gathers messages of one kind for one method.

    Parameters
    ----------
    service : Service
        The handler, in a running worker.
    method : callable
        Takes what `make` returns.
    make : callable
        (payloads, positions) -> arguments of the method; both are bytearrays, positions of u64, its own to keep.
    size : int
        Bytes of each payload.
    limit : int
        Messages that come together at most.

    Notes
    -----
    Used by the worker's thread. Owns `limit * (size + 8)` bytes.
    """

    def __cinit__(self, Service service not None, method, make, uint32_t size, uint32_t limit):
        self.outlet = voice_of(service).outlet
        self.method = method
        self.make = make
        self.size = size
        self.limit = limit
        self.refusing = RefusingRecording()
        self.payloads = <uint8_t *> malloc(<size_t> size * limit)
        self.positions = <uint64_t *> malloc(<size_t> limit * sizeof(uint64_t))
        if self.payloads == NULL or self.positions == NULL:
            raise MemoryError(f"no memory for batches of {limit} messages of {size} bytes")

    def __dealloc__(self):
        free(self.payloads)
        free(self.positions)

    cdef void add(self, const Slot *slot) noexcept nogil:
        memcpy(self.payloads + <size_t> self.count * self.size, slot.payload, self.size)
        self.positions[self.count] = slot.position
        self.timestamp = slot.header.timestamp
        self.count += 1

    cdef int hand_over(self) except -1:
        payloads = PyByteArray_FromStringAndSize(<char *> self.payloads, <Py_ssize_t> self.count * self.size)
        positions = PyByteArray_FromStringAndSize(<char *> self.positions, self.count * sizeof(uint64_t))
        self.outlet.position = self.positions[self.count - 1]
        self.outlet.timestamp = self.timestamp
        try:
            self.call(payloads, positions)
        finally:
            self.outlet.position = NO_CAUSE
            self.outlet.timestamp = 0
        return 0

    def __call__(self, message):
        """Hand over one message, decoded, alone."""
        cdef uint64_t position = self.outlet.position
        return self.call(bytearray(message), PyByteArray_FromStringAndSize(<char *> &position, sizeof(position)))

    cdef object call(self, object payloads, object positions):
        cdef Recording recording = self.outlet.recording
        if not self.outlet.sends_once:
            return self.method(*self.make(payloads, positions))
        self.outlet.recording = self.refusing
        try:
            try:
                result = self.method(*self.make(payloads, positions))
            except BaseException as error:
                left = self.outlet.abort_open_claim()
                if left is not None and not isinstance(left, Exception):
                    raise left from error
                raise                                   # the method's own error is the one to tell
            self.outlet.end_claim()                     # while what goes behind it is refused, too
            return result
        finally:
            self.outlet.recording = recording
