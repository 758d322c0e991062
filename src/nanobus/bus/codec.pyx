"""How an object becomes a payload and back, and which class has which codec.

The contract stands here, below the dispatch loop that calls it; the codecs themselves (nanobus.codecs,
nanobus.records) stand above. The registry maps class -> Codec, one codec a class, one id a class, for the life of the
process: a class is declared once, where it is defined.
"""
cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_CheckExact, PyBytes_FromStringAndSize
from cpython.dict cimport PyDict_GetItemWithError
from cpython.object cimport PyObject
from libc.stdint cimport uint8_t, uint32_t

from nanobus.core.layout cimport FIRST_LIBRARY_ID

from nanobus.errors import DecodeError, EncodeError, MessageError

cdef dict registry = {}


cdef class Codec:
    """How objects of one message class become payloads and back.

    Parameters
    ----------
    message_type : type
        The class whose instances are sent.
    message_id : int
        0 to 0xFEFF; an IntEnum member is one too.
    name, fingerprint : str
        The codec's name, and a text that changes whenever the layout of the payload does.

    Notes
    -----
    Immutable after construction, safe to use from any thread.
    """

    def __init__(self, message_type, message_id, str name, str fingerprint):
        if not isinstance(message_type, type):
            raise MessageError(f"a message must be a class, got {message_type!r}")
        cdef uint16_t number = checked_message_id(message_id)
        with cython.critical_section(self):
            if self.message_type is not None:
                raise TypeError(f"{self!r} is initialised already: a codec never changes")
            self.message_type = message_type
        self.message_id = number
        self.name = name
        self.fingerprint = fingerprint

    def __repr__(self):
        return f"<{self.name} codec of {self.message_type.__qualname__}, id {self.message_id}>"

    def encode_message(self, message):
        """Encode `message` to bytes: a copy, for tools and tests."""
        cdef EncodedMessage encoded
        self.encode(message, &encoded)
        try:
            return PyBytes_FromStringAndSize(<const char *> encoded.payload, encoded.size)
        finally:
            release(&encoded)

    def decode_payload(self, bytes payload not None):
        """Decode `payload` to a message that owns its bytes."""
        message = self.decode(<const uint8_t *> (<char *> payload), <uint32_t> len(payload))
        self.settle(message)
        return message

    cdef Codec private(self):
        return self

    cdef object decode(self, const uint8_t *payload, uint32_t size):
        raise DecodeError(f"{type(self).__qualname__} does not decode")

    cdef int settle(self, object message) except -1:
        return 0

    cdef int encode(self, object message, EncodedMessage *encoded) except -1:
        raise EncodeError(f"{type(self).__qualname__} does not encode")

    cdef object open_in_place(self, uint8_t *payload):
        raise MessageError(f"{self.message_type.__qualname__} is no Record: only a Record can be claimed in place")

    cdef int close_in_place(self, object message) except -1:
        return 0


cdef class ObjectCodec(Codec):
    """A codec of two Python functions.

    Parameters
    ----------
    encode : callable or None
        object -> bytes-like. None: the object exports its bytes itself (`bytes`, `ctypes.Structure`, arrays).
    decode : callable or None
        bytes -> object. None: the handler gets the bytes.
    """

    def __init__(self, message_type, message_id, str name, str fingerprint, encode=None, decode=None):
        Codec.__init__(self, message_type, message_id, name, fingerprint)
        self.encode_function = encode
        self.decode_function = decode

    cdef object decode(self, const uint8_t *payload, uint32_t size):
        cdef bytes owned = PyBytes_FromStringAndSize(<const char *> payload, size)
        if self.decode_function is None:
            return owned
        try:
            return self.decode_function(owned)
        except Exception as error:
            raise DecodeError(
                f"{self.name} codec of {self.message_type.__qualname__} (id {self.message_id}) "
                f"cannot decode {size} bytes: {error}"
            ) from error

    cdef int encode(self, object message, EncodedMessage *encoded) except -1:
        try:
            payload = message if self.encode_function is None else self.encode_function(message)
            if PyBytes_CheckExact(payload):
                hold_bytes(encoded, payload)
                return 0
            PyObject_GetBuffer(payload, &encoded.buffer, PyBUF_SIMPLE)
        except Exception as error:
            raise EncodeError(
                f"{self.name} codec of {self.message_type.__qualname__} (id {self.message_id}) "
                f"cannot encode {type(message).__qualname__}: {error}"
            ) from error
        encoded.payload = <const uint8_t *> encoded.buffer.buf
        encoded.size = encoded.buffer.len
        return 0


cdef Codec codec_of(object message):
    cdef PyObject *found = PyDict_GetItemWithError(registry, type(message))
    if found == NULL:
        raise MessageError(
            f"{type(message).__qualname__} is not a message: declare it with @message(id=...) or Record"
        )
    return <Codec> found


def checked_message_id(message_id):
    """Return `message_id` as an int in 0..0xFEFF, or say what is wrong with it."""
    return checked_id("message", message_id)


def checked_source_id(source_id):
    """Return `source_id` as an int in 0..0xFEFF, or say what is wrong with it."""
    return checked_id("source", source_id)


cdef int checked_id(str kind, object value) except -1:
    if isinstance(value, bool) or not isinstance(value, int):
        raise TypeError(f"a {kind} id must be an int or IntEnum member, got {value!r}")
    if not 0 <= value < FIRST_LIBRARY_ID:
        raise ValueError(f"a {kind} id must be in 0..{FIRST_LIBRARY_ID - 1:#x}, got {value!r}")
    return value


cdef uint16_t source_id_of_other(object source) except? 0:
    if isinstance(source, type):
        source = getattr(source, "source_id", source)
    return checked_source_id(source)


cdef uint16_t message_id_of_other(object message_id) except? 0:
    return checked_message_id(message_id)


def register(Codec codec not None):
    """Make `codec` the one of its class; a class that has another id already is refused."""
    cdef Codec known = registry.setdefault(codec.message_type, codec)
    if known is not codec and (known.message_id, known.name, known.fingerprint) != (
        codec.message_id, codec.name, codec.fingerprint
    ):
        raise MessageError(
            f"{codec.message_type.__qualname__} is message {known.message_id} ({known.name}) already, "
            f"it cannot be {codec.message_id} ({codec.name}) as well"
        )


def find_codec(message_type):
    """Return the Codec of a declared class; MessageError where there is none."""
    codec = registry.get(message_type)
    if codec is None:
        raise MessageError(f"{message_type!r} is not a message: declare it with @message(id=...) or Record")
    return codec


def codecs_of_id(message_id):
    """Return the Codecs of every class that was declared with this id, in the order of their declaration."""
    return [codec for codec in list(registry.values()) if codec.message_id == message_id]
