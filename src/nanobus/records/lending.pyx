"""How a bus lends records to handlers, takes them back, and lets them be written in place."""
cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyObject_GetBuffer
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from nanobus.bus.codec cimport Codec, EncodedMessage, hold_nothing
from nanobus.core.branches cimport rarely
from nanobus.records.views cimport (
    BLANK, BORROWED, CLAIMED, FROZEN, MUTABLE, RELEASED, RecordBytes, RecordLayout, RecordType, blank, check_size,
    copied_bytes, detach, forget, layout_of, own,
)

from nanobus.errors import EncodeError, RecordReleasedError

cdef extern from *:
    """
    /* Whether there are `count` references to `item`, all of them this thread's.
     *
     * Without a GIL, other threads read containers without a lock, and may try to count a reference to what they just
     * saw there: that fails while `ob_ref_shared` is 0, as it is until another thread had a reference, or a container
     * that holds one was read under its lock. Once it is not, a count of two proves nothing. */
    static inline int nb_has_only(PyObject *item, Py_ssize_t count) {
    #ifdef Py_GIL_DISABLED
        return _Py_IsOwnedByCurrentThread(item) && _Py_atomic_load_ssize_relaxed(&item->ob_ref_shared) == 0
            && (Py_ssize_t) _Py_atomic_load_uint32_relaxed(&item->ob_ref_local) == count;
    #else
        return Py_REFCNT(item) == count;
    #endif
    }
    """
    bint has_only "nb_has_only"(PyObject *item, Py_ssize_t count) noexcept


@cython.final
@cython.auto_pickle(False)
cdef class RecordCodec(Codec):
    """The codec of one record class: its payload is the record's bytes.

    Parameters
    ----------
    record_type : type
        A subclass of Record.
    message_id : int
        0 to 0xFEFF.

    Notes
    -----
    Safe to use from any thread. The private one that a worker holds is for that worker's thread only: it lends one view
    again and again, as long as no handler keeps it.
    """
    cdef RecordType record_type
    cdef RecordLayout layout
    cdef bint is_private
    cdef RecordBytes view           # of a private codec, None until its first message
    cdef bint is_spare              # the view is here, BLANK; else it is lent, or there is none

    def __cinit__(self, record_type, message_id):
        self.layout = layout_of(record_type)
        self.record_type = record_type
        self.fixed_size = self.layout.size

    def __init__(self, record_type, message_id):
        Codec.__init__(self, self.record_type, message_id, "record", self.layout.fingerprint)

    def decode_payload(self, bytes payload not None):
        """Decode `payload` to a read-only record that owns its bytes."""
        check_size(self.layout, len(payload))
        cdef RecordBytes record = blank(self.record_type)
        own(record, self.layout, <const uint8_t *> <const char *> payload, FROZEN)
        return record

    cdef Codec private(self):
        cdef RecordCodec codec = RecordCodec(self.record_type, self.message_id)
        codec.is_private = True
        return codec

    cdef object decode(self, const uint8_t *payload, uint32_t size):
        if rarely(not self.is_spare or size != self.fixed_size):
            return self.decode_anew(payload, size)
        self.is_spare = False
        self.view.address = <uint8_t *> payload
        self.view.ownership = BORROWED
        return self.view

    cdef RecordBytes decode_anew(self, const uint8_t *payload, uint32_t size):
        """Decode where there is no view to lend: shared by threads, or lent already, by a handler within a handler."""
        cdef RecordBytes record
        check_size(self.layout, size)
        record = blank(self.record_type)
        record.layout = self.layout
        if self.is_private and self.view is None:
            self.view = record
        record.address = <uint8_t *> payload
        record.ownership = BORROWED
        return record

    cdef int settle(self, object message) except -1:
        # Two references, this codec's and the caller's: nobody else can have or get one, as there are no weak
        # references and the view is untracked by the collector.
        if rarely(
            <PyObject *> message != <PyObject *> self.view
            or not has_only(<PyObject *> message, 2) or type(message) is not self.record_type
        ):
            return self.let_go(message)
        if rarely(self.view.ownership == FROZEN):           # it exported a buffer, which is gone again
            forget(self.view, BLANK)
        self.view.address = NULL
        self.view.ownership = BLANK
        self.is_spare = True
        return 0

    cdef int let_go(self, object message) except -1:
        """Give a message that somebody keeps bytes of its own."""
        cdef RecordBytes record
        if <PyObject *> message == <PyObject *> self.view:
            self.view = None
        record = <RecordBytes?> message
        with cython.critical_section(record):
            detach(record)
        return 0

    cdef int encode(self, object message, EncodedMessage *encoded) except -1:
        cdef RecordBytes record
        if type(message) is not self.record_type:
            raise EncodeError(f"{self!r} encodes this very class, got {message!r}")
        record = <RecordBytes> message
        if rarely(record.layout is not self.layout and record.address != NULL):     # its `__class__` was assigned to
            raise EncodeError(f"{self!r} encodes this very class, got a {record.layout.title}")
        with cython.critical_section(record):           # `settle` changes both on another thread
            if record.ownership == MUTABLE or record.ownership == FROZEN:
                encoded.payload = record.address
                encoded.size = self.fixed_size
                hold_nothing(encoded)
                return 0
        return self.encode_copy(record, encoded)

    cdef int encode_copy(self, RecordBytes record, EncodedMessage *encoded) except -1:
        """Encode a view whose claim or loan may end, on another thread, before the bytes are on the bus."""
        try:
            copy = copied_bytes(record)
        except RecordReleasedError as error:
            raise EncodeError(f"{self.layout.title} cannot be sent: {error}") from error
        PyObject_GetBuffer(copy, &encoded.buffer, PyBUF_SIMPLE)
        encoded.payload = <const uint8_t *> encoded.buffer.buf
        encoded.size = encoded.buffer.len
        return 0

    cdef object open_in_place(self, uint8_t *payload):
        cdef RecordBytes record = blank(self.record_type)
        memcpy(payload, self.layout.template, self.layout.size)
        record.layout = self.layout
        record.address = payload
        record.ownership = CLAIMED
        return record

    cdef int close_in_place(self, object message) except -1:
        cdef RecordBytes record = <RecordBytes?> message
        with cython.critical_section(record):
            if record.ownership == CLAIMED:
                forget(record, RELEASED)
        return 0
