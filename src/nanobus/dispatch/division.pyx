"""Which shard a message belongs to. The rules stand in division.pxd."""
from enum import Enum

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_GET_SIZE
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.stdlib cimport calloc, free
from libc.string cimport memcpy

from nanobus.bus.base cimport Slot
from nanobus.core.crc32c cimport crc32c
from nanobus.dispatch.router cimport index_of_ids

from nanobus.errors import DecodeError, ShardKeyError

cdef extern from "Python.h":
    bint PyIndex_Check(object value)
    object PyNumber_Index(object value)
    long long PyLong_AsLongLongAndOverflow(object value, int *overflow) except? -1
    unsigned long long PyLong_AsUnsignedLongLong(object value) except? 0xFFFFFFFFFFFFFFFF

# What is wrong with a machine, or one process, rather than with a message: no memory, no file, no module.
cdef tuple OF_THE_PLACE = (MemoryError, OSError, ImportError)
KINDS = {"s": KEY_TEXT, "?": KEY_TRUTH} | dict.fromkeys("bhiq", KEY_SIGNED) | dict.fromkeys("BHIQ", KEY_UNSIGNED)


@cython.final
cdef class Division:
    """How the messages of one worker are divided between its shards.

    Parameters
    ----------
    count : int
        Shards.
    field : str, optional
        The attribute of a message whose value, the key, decides; None: its position does.
    places : mapping of int -> (int, int, str, int)
        Message id -> offset and size of the field in bytes, its `struct` character, and the size of the payload; of
        those where it can be read from the payload as it is.

    Notes
    -----
    Immutable, safe to use from any thread.
    """

    def __cinit__(self, uint32_t count, str field=None, places=None):
        cdef dict known = {} if places is None else dict(places)
        cdef KeyPlace *place
        if count == 0:
            raise ValueError("count must be > 0, got 0")
        self.count = count
        self.field = field
        self.index_limit = max(known, default=-1) + 1
        self.index = index_of_ids(list(known), self.index_limit)
        self.places = <KeyPlace *> calloc(len(known) + 1, sizeof(KeyPlace))
        if self.places == NULL:
            raise MemoryError(f"no memory for {len(known)} places of keys")
        for number, (offset, size, code, payload_size) in enumerate(known.values()):
            if offset + size > payload_size:
                raise ValueError(f"a field must end within its payload of {payload_size} bytes, got {offset} + {size}")
            place = &self.places[<size_t> number]
            place.kind = KINDS[code]
            place.offset = offset
            place.size = size
            place.payload_size = payload_size

    def __dealloc__(self):
        free(self.index)
        free(self.places)

    def at(self, uint64_t position):
        """Return the shard that a position stands for: of its message, or of an error about its key."""
        return shard_at(self, position)

    def of(self, message):
        """Return the shard of a message by its key.

        Raises
        ------
        ShardKeyError
            It has no such field, or that is no key.
        """
        return self.shard_of_message(message)

    cdef uint32_t shard_in(self, const Slot *slot) noexcept nogil:
        cdef const KeyPlace *place
        if self.field is None:
            return shard_at(self, slot.position)
        place = self.find_place(slot.header.message)
        if place == NULL or slot.header.size != place.payload_size:     # whoever decodes it will say what is wrong
            return shard_at(self, slot.position)
        return <uint32_t> (mix(number_in(place, slot.payload + place.offset)) % self.count)

    cdef const KeyPlace *find_place(self, uint16_t message) noexcept nogil:
        if message >= self.index_limit or self.index[message] == 0:
            return NULL
        return &self.places[self.index[message] - 1]

    cdef int64_t shard_of_message(self, object message) except -1:
        try:
            key = getattr(message, self.field)
        except AttributeError as error:
            raise ShardKeyError(
                f"a {type(message).__qualname__} has no {self.field!r}, which its receivers are sharded by"
            ) from error
        return <int64_t> (mix(number_of(key, message, self.field)) % self.count)

    cdef bint has_to_tell(self, uint32_t shard, uint64_t position, error) except -1:
        if not isinstance(error, (DecodeError, ShardKeyError)) or isinstance(error.__cause__, OF_THE_PLACE):
            return True
        return shard_at(self, position) == shard


cdef uint64_t number_in(const KeyPlace *place, const uint8_t *field) noexcept nogil:
    cdef uint64_t number = 0
    cdef uint32_t unused = 64 - 8 * place.size          # bits; of a number
    if place.kind == KEY_TEXT:
        return number_of_text(field, place.size)
    memcpy(&number, field, place.size)
    if place.kind == KEY_SIGNED:
        return <uint64_t> (<int64_t> (number << unused) >> unused)
    return number != 0 if place.kind == KEY_TRUTH else number


cdef uint64_t number_of_text(const uint8_t *text, Py_ssize_t size) noexcept nogil:
    while size > 0 and text[size - 1] == 0:
        size -= 1
    return crc32c(0, text, size)


cdef uint64_t number_of(object key, object message, str field) except? 0xFFFFFFFFFFFFFFFF:
    if isinstance(key, str):
        key = str.encode(key, "utf-8", "surrogatepass")
    elif key is None:
        key = b""
    if isinstance(key, bytes):
        return number_of_text(<const uint8_t *> PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
    if PyIndex_Check(key):
        return number_of_int(PyNumber_Index(key))
    if isinstance(key, Enum):
        return number_of(key.value, message, field)
    raise ShardKeyError(
        f"{type(message).__qualname__}.{field} must be an int, str, bytes, None or an Enum member of one of these, "
        f"as its receivers are sharded by it, got {key!r}"
    )


cdef uint64_t number_of_int(object key) except? 0xFFFFFFFFFFFFFFFF:
    cdef int overflow = 0
    cdef int64_t number = PyLong_AsLongLongAndOverflow(key, &overflow)
    if not overflow:
        return <uint64_t> number
    if overflow > 0 and key.bit_length() <= 64:
        return PyLong_AsUnsignedLongLong(key)
    key = key.to_bytes(key.bit_length() // 8 + 1, "little", signed=True)
    return number_of_text(<const uint8_t *> PyBytes_AS_STRING(key), PyBytes_GET_SIZE(key))
