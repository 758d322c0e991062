"""Sending from outside any handler, and claiming a Record in place."""
cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from nanobus.bus.base cimport NO_CAUSE, Bus, BusWriter, note_codec
from nanobus.bus.codec cimport Codec, EncodedMessage, codec_of, release, source_id_of
from nanobus.bus.slot_writer cimport batch_size, slot_in_batch
from nanobus.core.layout cimport SLOT_HEADER_SIZE, relative_cause, slot_length

from threading import get_ident

from nanobus.bus.codec import find_codec
from nanobus.errors import EncodeError, MessageError, MessageTooLargeError, NanobusError


cdef uint32_t count_in_batch(BusWriter writer, Codec codec, Py_ssize_t size) except 0:
    """Return how many messages `size` bytes are."""
    cdef uint64_t most = (<uint64_t> writer.bus.max_payload + SLOT_HEADER_SIZE) // slot_length(codec.fixed_size)
    name = codec.message_type.__qualname__
    if not writer.takes_batches:
        raise NanobusError(f"a {type(writer.bus).__qualname__} takes no batches")
    if codec.fixed_size == 0:
        raise MessageError(f"a batch is of Records, whose payloads have one size; {name} is encoded with {codec.name}")
    if size == 0 or size % codec.fixed_size:
        raise EncodeError(f"a batch of {name} must be a multiple of {codec.fixed_size} bytes and not empty, got {size}")
    if <uint64_t> (size // codec.fixed_size) > most:
        raise MessageTooLargeError(
            f"a batch of {name} must be at most {most} messages on this bus, got {size // codec.fixed_size}"
        )
    return <uint32_t> (size // codec.fixed_size)


@cython.final
cdef class Sender:
    """Sends messages in the name of one source, from one thread at a time.

    Parameters
    ----------
    bus : Bus
    source : int, IntEnum member or Handler class
        In whose name.

    Raises
    ------
    TooManyHandlesError
        Every line for writers is taken.
    """

    def __cinit__(self, Bus bus not None, source):
        self.source = source_id_of(source)
        self.bus = bus
        self.writer = bus.writer()

    @cython.critical_section
    def send(self, message, *, timeout=None):
        """Encode `message` and append it to the bus.

        Parameters
        ----------
        message : object
            Of a class declared with `@message`.
        timeout : float, optional
            Seconds to wait for room; None waits for ever. Not used with `overflow="error"`.

        Returns
        -------
        int
            Position of the message.

        Raises
        ------
        MessageError, EncodeError, MessageTooLargeError, BusFullError, BusClosedError
            Nothing was sent.
        SchemaMismatchError, SchemaError, OSError
            The first message of its class, in a journal that holds another layout of it, or whose schema.json cannot
            be read or written. Nothing was sent.
        OSError
            With `sync="commit"`, of the disk: the message is on the bus, and may not be on the disk.
        """
        cdef Codec codec = codec_of(message)
        cdef EncodedMessage encoded
        cdef uint64_t position = 0
        codec.encode(message, &encoded)
        try:
            note_codec(self.bus, codec)
            with cython.critical_section(self.writer):      # which `close` takes too
                self.writer.append(
                    self.source, codec.message_id, NO_CAUSE, encoded.payload, encoded.size, timeout, &position
                )
        finally:
            release(&encoded)
        return position

    @cython.critical_section
    def send_batch(self, message_type, rows, *, timeout=None):
        """Append many messages of one class at once: nobody sees the first of them before all are there.

        Parameters
        ----------
        message_type : Record class
        rows : bytes-like
            The payloads, one behind the other, such as a structured array; contiguous. They are copied.
        timeout : float, optional
            Seconds to wait for room; None waits for ever. Not used with `overflow="error"`.

        Returns
        -------
        range
            The positions of the messages.

        Raises
        ------
        EncodeError
            The rows are no whole number of payloads, or there is none.
        MessageTooLargeError
            Together they take more than one claim can.
        NanobusError
            A bus of one's own that takes no batches.
        MessageError, BusFullError, BusClosedError, SchemaMismatchError, SchemaError, OSError
            As `send`.

        Notes
        -----
        No reader comes to a part of a batch whose sender dies. A power failure may cut one, as it may cut anything that
        is not yet on the disk.
        """
        cdef Codec codec = find_codec(message_type)
        cdef uint32_t count
        cdef uint64_t length = slot_length(codec.fixed_size)
        cdef Py_buffer buffer
        cdef Slot batch
        PyObject_GetBuffer(rows, &buffer, PyBUF_SIMPLE)
        try:
            count = count_in_batch(self.writer, codec, buffer.len)
            note_codec(self.bus, codec)
            with cython.critical_section(self.writer):      # which `close` takes too
                self.writer.claim_or_raise(batch_size(count, codec.fixed_size), &batch, timeout)
                self.fill(&batch, codec, <const uint8_t *> buffer.buf, count)
                self.writer.commit_batch(&batch, count, codec.fixed_size)
                if self.writer.ensures:
                    self.writer.ensure(batch.position + count * length)
        finally:
            PyBuffer_Release(&buffer)
        return range(batch.position, batch.position + count * length, length)

    cdef void fill(self, const Slot *batch, Codec codec, const uint8_t *rows, uint32_t count) noexcept:
        cdef Slot slot
        cdef uint32_t index
        for index in range(count):
            slot_in_batch(batch, index, codec.fixed_size, &slot)
            slot.header.source = self.source
            slot.header.message = codec.message_id
            memcpy(slot.payload, rows + <size_t> index * codec.fixed_size, codec.fixed_size)

    def claim(self, message_type, *, timeout=None):
        """Return a context manager whose block writes a Record in place.

        `with sender.claim(Quote) as quote: quote.bid = 1.0`. The record is the slot itself: leaving the block commits
        it, an exception aborts it and readers never see it. Everybody waits for a claim that stays open.
        """
        cdef SlotClaim claim = SlotClaim.__new__(SlotClaim)
        claim.codec = find_codec(message_type)
        claim.writer = self.writer
        claim.source = self.source
        claim.cause = NO_CAUSE
        claim.timeout = timeout
        return claim

    def close(self):
        """Free the writer's line. Thread-safe."""
        self.writer.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()


cdef class InPlaceClaim:

    @cython.critical_section
    def __enter__(self):
        cdef uint8_t *payload
        if self.codec is None:
            raise TypeError("a claim comes from claim(), it cannot be made")
        if self.message is not None:
            raise NanobusError("a claim is entered once")
        if self.codec.fixed_size == 0:
            self.codec.open_in_place(NULL)              # says why not
        payload = self.begin(self.codec.fixed_size)
        memset(payload, 0, self.codec.fixed_size)
        try:
            self.message = self.codec.open_in_place(payload)
        except BaseException:
            self.finish(False)
            raise
        return self.message

    @cython.critical_section
    def __exit__(self, exception_type, exception, traceback):
        if self.message is None:
            raise NanobusError("a claim is left once, after it was entered")
        self.check_end(exception_type is None)
        message = self.message
        self.message = None
        try:
            self.codec.close_in_place(message)          # before the commit: from then on the bytes are the bus's
        except BaseException:
            self.finish(False)
            raise
        self.finish(exception_type is None)
        return False

    def __del__(self):
        if self.message is not None:                    # entered, never left
            self.__exit__(NanobusError, None, None)

    cdef uint8_t *begin(self, uint32_t size) except NULL:
        raise NanobusError("a claim comes from claim(), it cannot be made")

    cdef int check_end(self, bint commit) except -1:
        return 0

    cdef int finish(self, bint commit) except -1:
        return 0

    cdef int note_open(self, BusWriter writer) except -1:
        cdef list pending
        if writer.bus.claiming is not None:
            self.opener = get_ident()
            with writer.bus.lock:
                pending = writer.bus.claiming.setdefault(self.opener, [0, 0])
                pending[0] += 1
        return 0

    cdef int note_end(self, BusWriter writer, uint64_t *end) except -1:
        cdef list pending
        if writer.bus.claiming is None:
            return 0
        with writer.bus.lock:
            pending = writer.bus.claiming[self.opener]
            pending[0] -= 1
            pending[1] = end[0] = max(<uint64_t> pending[1], end[0])
            if pending[0]:                              # the claim around this one will ensure
                end[0] = 0
            else:
                del writer.bus.claiming[self.opener]
        return 0

    cdef int ensure_ended(self, BusWriter writer, uint64_t end) except -1:
        self.note_end(writer, &end)
        if writer.ensures and end:
            with cython.critical_section(writer):
                writer.ensure(end)
        return 0

    cdef int end_claim(self, BusWriter writer, Slot *slot, bint commit) except -1:
        with cython.critical_section(writer):
            if commit:
                writer.commit(slot)
            else:
                writer.abort(slot)
            if writer.closed and not writer.busy:       # inside of the block: its line waited for the claim to end
                writer.close_line()
        return 0


@cython.final
cdef class SlotClaim(InPlaceClaim):
    """A claim in a slot of the bus."""

    cdef uint8_t *begin(self, uint32_t size) except NULL:
        note_codec(self.writer.bus, self.codec)
        cdef uint64_t nowhere = 0
        self.note_open(self.writer)                     # first: nothing may fail once the claim is made
        try:
            with cython.critical_section(self.writer):
                self.writer.claim_or_raise(size, &self.slot, self.timeout)
        except BaseException:
            self.note_end(self.writer, &nowhere)
            raise
        self.slot.header.source = self.source
        self.slot.header.message = self.codec.message_id
        self.slot.header.cause = relative_cause(self.slot.position, self.cause)
        return self.slot.payload

    cdef int finish(self, bint commit) except -1:
        self.end_claim(self.writer, &self.slot, commit)
        try:
            self.ensure_ended(self.writer, self.slot.position + slot_length(self.codec.fixed_size))
        finally:
            self.writer.bus.let_others_in()
        return 0
