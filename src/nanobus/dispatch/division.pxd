"""How the messages of one worker are divided between its shards.

    by position     shard = mix(position / 32) % count
    by a field      shard = mix(number of the key) % count

    key             its number
    int             itself, modulo 2**64; a longer one as its bytes, two's complement
    str, bytes      CRC-32C of the bytes, in UTF-8, without zeros at the end: as a Record has them in fixed bytes
    None            as b""
    Enum member     as its value

Every shard decides alone, so all of them must decide alike: in each process, in any version of Python, and for as long
as there are cursors of shards. Nothing here may ever change what comes out.

A field that lies at a fixed place is read from the slot, without the GIL; another one needs its message decoded.
Where a key cannot be known, the position decides who tells of it.
"""
from libc.stdint cimport int64_t, uint16_t, uint32_t, uint64_t

from nanobus.bus.base cimport Slot
from nanobus.core.layout cimport SLOT_ALIGNMENT


cdef enum KeyKind:
    KEY_TEXT
    KEY_SIGNED
    KEY_UNSIGNED
    KEY_TRUTH

cdef struct KeyPlace:
    KeyKind kind
    uint32_t offset                     # in the payload
    uint32_t size                       # bytes of the field
    uint32_t payload_size


cdef class Division:
    cdef readonly uint32_t count        # shards
    cdef readonly str field             # None: by position
    cdef uint16_t *index                # message id -> of `places`, counted from 1; 0: none
    cdef uint32_t index_limit           # ids at or past it have none
    cdef KeyPlace *places

    cdef const KeyPlace *find_place(self, uint16_t message) noexcept nogil
    # Of a message whose field has a place, or of any where there is no field.
    cdef uint32_t shard_in(self, const Slot *slot) noexcept nogil
    # Of any message, decoded.
    cdef int64_t shard_of_message(self, object message) except -1
    # Whether it is this shard that tells of what keeps it from knowing whose a message is. One of them does, of what is
    # wrong with the message: all of them meet that. Of anything else whoever meets it, since the others may not.
    cdef bint has_to_tell(self, uint32_t shard, uint64_t position, error) except -1


cdef inline uint64_t mix(uint64_t number) noexcept nogil:
    """The finalizer of SplitMix64: every bit of the number changes half of the result (Steele, Lea, Flood 2014)."""
    number += <uint64_t> 0x9E3779B97F4A7C15
    number = (number ^ (number >> 30)) * <uint64_t> 0xBF58476D1CE4E5B9
    number = (number ^ (number >> 27)) * <uint64_t> 0x94D049BB133111EB
    return number ^ (number >> 31)


cdef inline uint32_t shard_at(Division division, uint64_t position) noexcept nogil:
    return <uint32_t> (mix(position // SLOT_ALIGNMENT) % division.count)
