"""How handlers send: at once where the bus has room, through the worker's outbox where it has none."""
cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.errno cimport ENOBUFS
from libc.stdint cimport uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc
from libc.string cimport memcpy, strerror

from nanobus.bus.base cimport (
    BUS_CLAIMED, BUS_FAILED, BUS_OK, BUS_STOPPED, NO_CAUSE, BusStatus, BusWriter, Slot, note_codec
)
from nanobus.bus.codec cimport EncodedMessage, codec_of, holds_nothing, release
from nanobus.bus.refusals cimport raise_too_large
from nanobus.bus.sender cimport InPlaceClaim
from nanobus.core.branches cimport rarely
from nanobus.core.layout cimport relative_cause, slot_length
from nanobus.dispatch.outbox cimport Outbox
from nanobus.dispatch.recording cimport Recording

from nanobus.errors import BusClosedError, BusFullError, HandleInUseError, MappingError, NanobusError


cdef extern from "pythread.h":
    unsigned long PyThread_get_thread_ident() noexcept


@cython.final
cdef class Outlet:
    """What the handlers of one worker send through.

    Parameters
    ----------
    writer : BusWriter
        The worker's own.
    outbox_limit : int
        Bytes the worker may hold while the bus is full.
    request_stop : callable
        Asks whoever runs the worker to stop everything.
    recording : Recording, optional
        Sees every send before the bus does.
    live : bool
        Whether anything may be written: not in a replay.
    shard : int
        Which shard of its worker that is.
    sends_once : bool
        Whether sends are compared, or counted, by the messages that they are answers to.
    """

    def __cinit__(self, BusWriter writer not None, size_t outbox_limit, request_stop, Recording recording=None,
                  bint live=True, uint32_t shard=0, bint sends_once=False):
        self.writer = writer
        self.outbox = Outbox(outbox_limit)
        self.request_stop = request_stop
        self.recording = recording
        self.describes = live and writer.bus.described is not None
        self.position = NO_CAUSE
        self.shard = shard
        self.sends_once = sends_once

    @property
    def held(self):
        """Messages in the outbox."""
        return self.outbox.count

    def end_claim(self):
        """Abort the claim that a handler left open, if it did, and say so."""
        self.timestamp = 0
        error = self.abort_open_claim()
        if error is not None:
            raise error

    cdef object abort_open_claim(self):
        if self.claimed is None:
            return None
        try:
            self.claimed.__exit__(NanobusError, None, None)
        except BaseException as error:
            return error
        return NanobusError("the handler returned with a claim open; it was aborted, nobody saw the record")

    cdef int send(self, uint16_t source, object message) except -1:
        cdef EncodedMessage encoded
        cdef uint16_t id_
        cdef Codec codec = None
        if rarely(type(message) is not self.recent_type):
            self.recent_codec = codec_of(message)
            self.recent_type = self.recent_codec.message_type
        id_ = self.recent_codec.message_id              # encoding may run code that sends another message
        if self.describes:
            codec = self.recent_codec
        self.recent_codec.encode(message, &encoded)
        if holds_nothing(&encoded) and not self.describes:
            return self.put(source, id_, encoded.payload, encoded.size)
        try:
            if self.describes:
                note_codec(self.writer.bus, codec)
            return self.put(source, id_, encoded.payload, encoded.size)
        finally:
            release(&encoded)

    cdef int put(self, uint16_t source, uint16_t message, const uint8_t *payload, Py_ssize_t size) except -1:
        cdef BusStatus status
        cdef Slot slot
        if rarely(size > self.writer.bus.max_payload):
            raise_too_large(self.writer.bus.max_payload, size)
        if rarely(self.outbox.count or self.claimed is not None or self.recording is not None):
            if self.diverts(source, message, payload, size):
                return 0
        with cython.critical_section(self.writer):
            status = self.writer.claim(<uint32_t> size, &slot)
            if status == BUS_OK:
                slot.header.source = source
                slot.header.message = message
                slot.header.cause = relative_cause(slot.position, self.position)
                memcpy(slot.payload, payload, size)
                self.writer.commit(&slot)
                if rarely(self.writer.ensures):
                    self.writer.ensure(slot.position + slot_length(<uint32_t> size))
                return 0
        self.check_room(status, size)
        return self.hold(source, message, payload, <uint32_t> size)

    cdef bint diverts(self, uint16_t source, uint16_t message, const uint8_t *payload, Py_ssize_t size) except -1:
        """Whether the send has found its place elsewhere than on the bus."""
        if self.claimed is not None and self.claimed.staged != NULL:
            self.claimed.behind.append((source, message, PyBytes_FromStringAndSize(<const char *> payload, size)))
            return True
        if self.recording is not None:
            if self.recording.takes(source, message, self.position, payload, size):
                return True
            if self.recording.spent:
                self.recording = None
        if self.outbox.count or self.claimed is not None:
            self.hold(source, message, payload, <uint32_t> size)
            return True
        return False

    cdef int check_room(self, BusStatus status, Py_ssize_t size) except -1:
        """Raise unless the outbox is the answer to `status`."""
        if status == BUS_STOPPED:
            raise BusClosedError("the bus of this worker is closed")
        if status == BUS_FAILED:
            self.writer.raise_failure()
        if not self.writer.bus.waits_for_room():
            raise BusFullError(f"no room for {size} bytes, and this bus does not wait for its readers")
        return 0

    cdef int flush(self) except -1:
        cdef BusStatus status
        with cython.critical_section(self.writer):
            status = self.outbox.flush(self.writer)
        return self.end_flush(status)

    cdef int end_flush(self, BusStatus status) except -1:
        if status == BUS_FAILED:
            self.writer.raise_failure()                 # before the cursor passes the cause of what is held
        if self.writer.ensures:
            with cython.critical_section(self.writer):
                self.writer.ensure(self.outbox.sent_end)
        return 0

    cdef int hold(self, uint16_t source, uint16_t message, const uint8_t *payload, uint32_t size) except -1:
        cdef int error = self.outbox.push(source, message, self.position, payload, size)
        if error == ENOBUFS:
            raise BusFullError(
                f"the bus is full and the worker's outbox holds {self.outbox.count} messages already, "
                f"no room for {size} bytes more: its limit is {self.outbox.limit} bytes"
            )
        if error:
            raise MappingError(error, f"the outbox cannot grow: {strerror(error).decode()}")
        return 0


@cython.final
cdef class OutletClaim(InPlaceClaim):
    """A claim in a slot; in memory of its own where the bus is full, another claim is open, or there is a recording.

    Wherever it is, what is sent while it is open goes behind it: the order must not depend on how full the bus was.
    """

    def __dealloc__(self):
        free(self.staged)

    cdef uint8_t *begin(self, uint32_t size) except NULL:
        cdef Outlet outlet = self.outlet
        cdef BusStatus status = BUS_CLAIMED
        cdef uint64_t nowhere = 0
        check_thread(outlet.thread)
        if outlet.describes:
            note_codec(outlet.writer.bus, self.codec)
        if size > outlet.writer.bus.max_payload:
            raise_too_large(outlet.writer.bus.max_payload, size)
        if outlet.claimed is None and not outlet.outbox.count and outlet.recording is None:
            self.note_open(outlet.writer)               # first: nothing may fail once the claim is made
            with cython.critical_section(outlet.writer):
                status = outlet.writer.claim(size, &self.slot)
            if status == BUS_OK:
                outlet.claimed = self
                self.slot.header.source = self.source
                self.slot.header.message = self.codec.message_id
                self.slot.header.cause = relative_cause(self.slot.position, outlet.position)
                return self.slot.payload
            self.note_end(outlet.writer, &nowhere)
            outlet.check_room(status, size)
        self.staged = <uint8_t *> malloc(size)
        if self.staged == NULL:
            raise MemoryError(f"no memory for a record of {size} bytes")
        self.behind = []
        if outlet.claimed is None:
            outlet.claimed = self
        return self.staged

    cdef int check_end(self, bint commit) except -1:
        if commit or self.outlet.claimed is self:       # else memory of its own, which may be dropped anywhere
            check_thread(self.outlet.thread)
        return 0

    cdef int finish(self, bint commit) except -1:
        cdef Outlet outlet = self.outlet
        if outlet.claimed is self:
            outlet.claimed = None
        if self.staged != NULL:
            return self.finish_staged(commit)
        self.end_claim(outlet.writer, &self.slot, commit)
        if outlet.writer.closed:                        # by whoever closed the bus meanwhile
            outlet.writer.bus.let_others_in()
        self.ensure_ended(outlet.writer, self.slot.position + slot_length(self.codec.fixed_size))
        if outlet.outbox.count:                         # what was sent meanwhile
            outlet.flush()
        return 0

    cdef int finish_staged(self, bint commit) except -1:
        cdef uint8_t *staged = self.staged
        cdef bytes payload
        self.staged = NULL
        try:
            if commit:
                self.outlet.put(self.source, self.codec.message_id, staged, self.codec.fixed_size)
        finally:
            free(staged)
            for source, message, payload in self.behind:
                self.outlet.put(
                    source, message, <const uint8_t *> PyBytes_AS_STRING(payload), PyBytes_GET_SIZE(payload)
                )
        return 0


cdef int check_thread(unsigned long thread) except -1:
    if thread != PyThread_get_thread_ident():
        raise HandleInUseError("a handler is used in its worker's thread; in another, use bus.sender()")
    return 0
