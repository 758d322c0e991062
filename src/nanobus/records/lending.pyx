"""How a bus lends records to handlers, takes them back, and lets them be written in place."""
cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyObject_GetBuffer
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t
from libc.string cimport memcpy

from nanobus.bus.codec cimport Codec, EncodedMessage
from nanobus.records.views cimport (
    BLANK, BORROWED, CLAIMED, FROZEN, MUTABLE, RELEASED, RecordBytes, RecordLayout, RecordType, blank, check_size,
    copied_bytes, detach, forget, layout_of, own,
)

from nanobus.errors import EncodeError, RecordReleasedError

cdef extern from "Python.h":
    ctypedef struct HeldBuffer "Py_buffer":     # Cython's own declaration counts the references to `obj`
        PyObject *obj


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
        cdef RecordBytes record
        if size != self.fixed_size:
            check_size(self.layout, size)
        if self.is_spare:
            self.is_spare = False
            record = self.view
        else:                       # shared by threads, or the view is lent: a handler within a handler
            record = blank(self.record_type)
            record.layout = self.layout
            if self.is_private and self.view is None:
                self.view = record
        record.address = <uint8_t *> payload
        record.ownership = BORROWED
        return record

    cdef int settle(self, object message) except -1:
        cdef RecordBytes record
        if <PyObject *> message == <PyObject *> self.view:
            # Two references, this codec's and the caller's: nobody else can have or get one, as there are no weak
            # references and the view is untracked by the collector.
            if has_only(<PyObject *> message, 2) and type(message) is self.record_type:
                take_back(self.view)
                self.is_spare = True
                return 0
            self.view = None
        record = <RecordBytes?> message
        with cython.critical_section(record):
            detach(record)
        return 0

    cdef int encode(self, object message, EncodedMessage *encoded) except -1:
        cdef RecordBytes record
        (<HeldBuffer *> &encoded.buffer).obj = NULL
        if type(message) is not self.record_type:
            raise EncodeError(f"{self!r} encodes this very class, got {message!r}")
        record = <RecordBytes> message
        if record.layout is not self.layout and record.address != NULL:     # its `__class__` was assigned to
            raise EncodeError(f"{self!r} encodes this very class, got a {record.layout.title}")
        with cython.critical_section(record):           # `settle` changes both on another thread
            if record.ownership == MUTABLE or record.ownership == FROZEN:
                encoded.payload = record.address
                encoded.size = self.layout.size
                return 0
        # A view whose claim or loan may end, on another thread, before the bytes are on the bus: encode a copy.
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


cdef inline void take_back(RecordBytes view) noexcept:
    if view.ownership == FROZEN:        # it exported a buffer, which is gone again
        forget(view, BLANK)
    view.address = NULL
    view.ownership = BLANK
