"""The slot: the one memory layout every bus shares. Little endian; slots start at multiples of 32.

     0          8        12       14         16            24        28        32
     +----------+--------+--------+----------+-------------+---------+---------+-----------
     | stamp    | size   | source | message  | timestamp   | crc32c  | cause   | payload ... padded to 32
     | u64      | u32    | u16    | u16 id   | i64 unix ns | u32     | u32     |
     +----------+--------+--------+----------+-------------+---------+---------+-----------

`stamp` is the only word that makes a slot visible: written last (release), read first (acquire). Its value depends on
the position and on the bus's random key, so neither a stale lap nor a payload can look like it.
"""
from libc.stdint cimport UINT32_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from nanobus.core.crc32c cimport crc32c

cdef enum:
    SLOT_ALIGNMENT = 32
    SLOT_HEADER_SIZE = 32
    FIRST_LIBRARY_ID = 0xFF00       # ids from here on are nanobus's own
    PADDING_ID = 0xFF00             # an aborted or sealed claim: readers skip it
    TIMER_ID = 0xFF01               # payload: u32 index of the timer in its handler; of a shard, u32 index of that, too

cdef struct SlotHeader:
    uint64_t stamp
    uint32_t size
    uint16_t source
    uint16_t message
    int64_t timestamp
    uint32_t crc32c
    uint32_t cause

cdef inline uint64_t stamp_of(uint64_t position, uint64_t key) noexcept nogil:
    return (position + 1) ^ key

cdef inline uint64_t slot_length(uint32_t size) noexcept nogil:
    """Bytes from this slot to the next: header and payload, padded to the alignment."""
    return (<uint64_t> size + SLOT_HEADER_SIZE + SLOT_ALIGNMENT - 1) & ~<uint64_t> (SLOT_ALIGNMENT - 1)

cdef inline uint32_t relative_cause(uint64_t position, uint64_t cause) noexcept nogil:
    """Distance to the causing slot in alignments; 0 where it is too far away for 32 bits, or there is none
    (`cause >= position`)."""
    cdef uint64_t distance = (position - cause) // SLOT_ALIGNMENT
    return <uint32_t> distance if cause < position and distance <= UINT32_MAX else 0

cdef inline uint32_t slot_checksum(const SlotHeader *header) noexcept nogil:
    """CRC-32C of size, source, message, timestamp, cause and payload; the stamp vouches for the position. Of padding
    only the header counts: what is behind it is of a claim that was never finished."""
    cdef const uint8_t *bytes = <const uint8_t *> header
    cdef size_t size = 0 if header.message == PADDING_ID else header.size
    return crc32c(crc32c(0, bytes + 8, 16), bytes + 28, 4 + size)

cdef inline void make_padding(SlotHeader *header, uint64_t length) noexcept nogil:
    """Let readers skip the `length` bytes from here on; the stamp is the caller's to write."""
    header.size = <uint32_t> (length - SLOT_HEADER_SIZE)
    header.source = 0
    header.message = PADDING_ID
    header.timestamp = 0
    header.cause = 0
    header.crc32c = slot_checksum(header)       # a wrong size would hide the messages behind
