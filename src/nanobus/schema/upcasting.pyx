"""The codec of a message that changed its layout somewhere in the journal."""
cimport cython
from cpython.bytes cimport PyBytes_FromStringAndSize
from libc.stdint cimport uint8_t, uint32_t, uint64_t

from nanobus.bus.base cimport BusReader
from nanobus.bus.codec cimport Codec, EncodedMessage


@cython.final
cdef class UpcastingCodec(Codec):
    """Decodes what stands before `since` by a function, and everything else by a codec.

    Parameters
    ----------
    codec : Codec
        Of the layout that is written now.
    reader : BusReader
        Tells the position of the payload that is being decoded.
    since : int
        Position from which on the codec's layout is written.
    read_old : callable
        (position, payload bytes) -> message that owns its bytes.

    Notes
    -----
    For the thread of the reader only.
    """
    cdef Codec codec
    cdef BusReader reader
    cdef readonly uint64_t since
    cdef object read_old

    def __init__(self, Codec codec not None, BusReader reader not None, uint64_t since, read_old):
        Codec.__init__(self, codec.message_type, codec.message_id, codec.name, codec.fingerprint)
        self.fixed_size = codec.fixed_size
        self.codec = codec
        self.reader = reader
        self.since = since
        self.read_old = read_old

    cdef Codec private(self):
        return UpcastingCodec(self.codec.private(), self.reader, self.since, self.read_old)

    cdef object decode(self, const uint8_t *payload, uint32_t size):
        if self.reader.cursor >= self.since:
            return self.codec.decode(payload, size)
        return self.read_old(self.reader.cursor, PyBytes_FromStringAndSize(<const char *> payload, size))

    cdef int settle(self, object message) except -1:
        if self.reader.cursor >= self.since:        # the reader advances after this, so it is the one that decoded
            self.codec.settle(message)
        return 0

    cdef int encode(self, object message, EncodedMessage *encoded) except -1:
        return self.codec.encode(message, encoded)

    cdef object open_in_place(self, uint8_t *payload):
        return self.codec.open_in_place(payload)

    cdef int close_in_place(self, object message) except -1:
        return self.codec.close_in_place(message)
