"""The control block of a ring: written once for a new one, checked field by field for one that exists."""
import os
import stat

from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy

from nanobus.bus.control cimport (
    BOUNDARY_COUNT, BYTE_ORDER_MARK, CONTROL_VERSION, IDENTITY_SIZE, MAX_LINES, ControlBlock, ReaderLine, WriterLine
)
from nanobus.core.crc32c cimport crc32c
from nanobus.memory.platform cimport round_to_pages
from nanobus.memory.ring cimport RingMapping

from nanobus.errors import BusFormatError, MappingError


cdef uint64_t RING_MAGIC = 0x676E69722D626E1A          # in the file: 0x1A, "nb-ring"


cdef size_t control_size_for(uint32_t writers, uint32_t readers):
    return round_to_pages(sizeof(ControlBlock) + writers * sizeof(WriterLine) + readers * sizeof(ReaderLine))


cdef int write_control(RingMapping mapping, uint32_t flags, uint32_t writers, uint32_t readers) except -1:
    """Write the control block of a new ring, whose bytes are zero and which nobody else can see yet."""
    cdef ControlBlock *control = <ControlBlock *> mapping.address
    control.magic = RING_MAGIC
    control.version = CONTROL_VERSION
    control.byte_order = BYTE_ORDER_MARK
    control.key = (int.from_bytes(os.urandom(8)) >> 1) + 1
    control.capacity = mapping.capacity
    control.control_size = mapping.control_size
    control.flags = flags
    control.writer_lines = writers
    control.reader_lines = readers
    control.section_shift = (mapping.capacity // BOUNDARY_COUNT).bit_length() - 1
    control.identity_crc32c = identity_checksum(control)
    return 0


cdef uint32_t identity_checksum(const ControlBlock *control):
    return crc32c(0, <const uint8_t *> control, IDENTITY_SIZE - sizeof(uint32_t))


cdef RingMapping attach(str path, object capacity):
    """Map the ring at `path` once every field of its control block has been checked; None if it is gone meanwhile."""
    cdef ControlBlock control
    cdef RingMapping mapping
    try:
        descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise MappingError(error.errno, f"cannot open the ring {path!r}: {os.strerror(error.errno)}") from error
    try:
        read_control(&control, descriptor, repr(path))
    finally:
        os.close(descriptor)
    if capacity is not None and capacity != control.capacity:
        raise BusFormatError(f"{path!r} is a ring of {control.capacity} bytes, not {capacity}")
    mapping = RingMapping(control.capacity, control.control_size, path)
    return None if mapping.created else mapping


cdef RingMapping inherit(int descriptor, object path):
    cdef ControlBlock control
    read_control(&control, descriptor, "anonymous memory" if path is None else repr(path))
    return RingMapping(control.capacity, control.control_size, path, descriptor)


cdef int read_control(ControlBlock *into, int descriptor, str name) except -1:
    """Read the control block of a ring, and check every field that says what it is."""
    cdef ControlBlock control
    head = os.pread(descriptor, sizeof(ControlBlock), 0) if stat.S_ISREG(os.fstat(descriptor).st_mode) else b""
    if <size_t> len(head) < sizeof(ControlBlock):
        raise BusFormatError(f"{name} is no ring: it is shorter than a control block, or no regular file")
    memcpy(&control, <const char *> head, sizeof(ControlBlock))
    if control.magic != RING_MAGIC:
        raise BusFormatError(f"{name} is no ring: its magic number is {control.magic:#x}, not {RING_MAGIC:#x}")
    if control.byte_order != BYTE_ORDER_MARK:
        raise BusFormatError(f"{name} was written with another byte order")
    if control.version != CONTROL_VERSION:
        raise BusFormatError(f"{name} is a ring of version {control.version}, this is version {CONTROL_VERSION}")
    if (
        control.identity_crc32c != identity_checksum(&control)
        or not 1 <= control.writer_lines <= MAX_LINES or not 1 <= control.reader_lines <= MAX_LINES
        or control.control_size != control_size_for(control.writer_lines, control.reader_lines)
        or control.section_shift != (control.capacity // BOUNDARY_COUNT).bit_length() - 1
        or control.writers_used > control.writer_lines or control.readers_used > control.reader_lines
    ):
        raise BusFormatError(f"the control block of {name} contradicts itself")
    into[0] = control
    return 0
