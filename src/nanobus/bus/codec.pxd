from cpython.buffer cimport Py_buffer, PyBuffer_Release
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from cpython.object cimport PyObject
from cpython.ref cimport Py_INCREF
from libc.stdint cimport uint8_t, uint16_t, uint32_t

from nanobus.core.layout cimport FIRST_LIBRARY_ID


cdef struct EncodedMessage:
    const uint8_t *payload
    Py_ssize_t size
    Py_buffer buffer            # what `release` gives back; see `hold_nothing`


cdef extern from "Python.h":
    ctypedef struct HeldBuffer "Py_buffer":     # Cython's own declaration counts the references to `obj`
        PyObject *obj


# The bytes are the message's own, and stay where they are while it lives: there is nothing to give back.
cdef inline void hold_nothing(EncodedMessage *encoded) noexcept:
    (<HeldBuffer *> &encoded.buffer).obj = NULL


# What PyObject_GetBuffer does, as far as `release` needs it: `buf` and `len` of the buffer stay unset.
cdef inline void hold_bytes(EncodedMessage *encoded, bytes payload) noexcept:
    Py_INCREF(payload)
    (<HeldBuffer *> &encoded.buffer).obj = <PyObject *> payload
    encoded.payload = <const uint8_t *> PyBytes_AS_STRING(payload)
    encoded.size = PyBytes_GET_SIZE(payload)


cdef inline bint holds_nothing(EncodedMessage *encoded) noexcept:
    return (<HeldBuffer *> &encoded.buffer).obj == NULL


cdef inline void release(EncodedMessage *encoded) noexcept:
    PyBuffer_Release(&encoded.buffer)


cdef class Codec:
    """How objects of one message class become payloads and back. Subclassed by records.pyx for zero-copy messages."""
    cdef readonly object message_type   # a class; not declared `type`, which would refuse other metaclasses
    cdef readonly uint16_t message_id
    cdef readonly str name              # "record", "msgspec", ...
    cdef readonly str fingerprint       # changes when the layout does
    cdef readonly uint32_t fixed_size   # bytes of every payload; 0 where sizes differ and `open_in_place` is refused

    # The instance that one worker uses alone, so that it may reuse its views; self where nothing is kept.
    cdef Codec private(self)
    # The object of a payload. It may borrow `payload` until `settle`.
    cdef object decode(self, const uint8_t *payload, uint32_t size)
    # After the last receiver returned: a borrowed object that is still referenced gets bytes of its own.
    cdef int settle(self, object message) except -1
    # Point `encoded` to the bytes of `message`; they live until `release`, which is due where this does not raise.
    cdef int encode(self, object message, EncodedMessage *encoded) except -1
    # A writable object over `fixed_size` zeroed bytes at `payload`, until `close_in_place` makes it refuse all access.
    cdef object open_in_place(self, uint8_t *payload)
    cdef int close_in_place(self, object message) except -1


cdef class ObjectCodec(Codec):
    """Two Python functions: encode(object) -> bytes-like, decode(bytes) -> object. Owns nothing of the bus."""
    cdef object encode_function         # None: the object itself exports its bytes
    cdef object decode_function         # None: the handler gets the bytes


cdef Codec codec_of(object message)     # MessageError for a class that was never declared

# The u16 of an int, an IntEnum member or, as a source, a class with a `source_id` (Handler).
cdef uint16_t source_id_of_other(object source) except? 0
cdef uint16_t message_id_of_other(object message_id) except? 0


cdef extern from *:
    """
    /* The value of a plain int that can be an id, else -1. */
    static inline long nb_plain_id(PyObject *value) {
        if (!PyLong_CheckExact(value))
            return -1;
    #if PY_VERSION_HEX >= 0x030C0000
        if (!PyUnstable_Long_IsCompact((PyLongObject *) value))
            return -1;
        return (long) PyUnstable_Long_CompactValue((PyLongObject *) value);
    #else
        int overflow;
        return PyLong_AsLongAndOverflow(value, &overflow);
    #endif
    }
    """
    long plain_id "nb_plain_id"(object value) noexcept


cdef inline uint16_t source_id_of(object source) except? 0:
    cdef long value = plain_id(source)
    return <uint16_t> value if 0 <= value < FIRST_LIBRARY_ID else source_id_of_other(source)


cdef inline uint16_t message_id_of(object message_id) except? 0:
    cdef long value = plain_id(message_id)
    return <uint16_t> value if 0 <= value < FIRST_LIBRARY_ID else message_id_of_other(message_id)
