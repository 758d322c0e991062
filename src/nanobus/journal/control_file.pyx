"""The control file of a journal, `control`, and who may have it: one process alone, which recovers, or several.

The lock is that of the file `lock` (flock), which the kernel drops with its last holder. Whoever gets it alone knows
that every line in the control file is of the dead.
"""
import fcntl
import os
import time
from contextlib import contextmanager

from libc.errno cimport ENOENT, ENOSYS
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memcpy, memset

from nanobus.bus.control cimport (
    BYTE_ORDER_MARK, IDENTITY_SIZE, MAX_LINES, ControlBlock, ReaderLine, WriterLine
)
from nanobus.core.crc32c cimport crc32c
from nanobus.core.steps cimport step
from nanobus.journal.layout cimport (
    CURSOR_COUNT, JOURNAL_VERSION, LARGEST_SEGMENT, SMALLEST_SEGMENT, JournalBlock, JournalCursor
)
from nanobus.journal.store cimport SegmentStore
from nanobus.memory.file cimport FileMapping
from nanobus.memory.mapping cimport AnonymousMapping, Mapping
from nanobus.memory.platform cimport read_boot_name, round_to_pages

from nanobus.errors import (
    BusFormatError, CorruptJournalError, JournalInUseError, JournalVersionError, MappingError
)

cdef uint64_t JOURNAL_MAGIC = 0x6C6E726A2D626E1A       # in the file: 0x1A, "nb-jrnl"
cdef str CONTROL_NAME = "control"
cdef double PATIENCE = 10.0                             # seconds for somebody else's recovery
cdef double LOOK_AGAIN = 0.005


cdef size_t control_size_for(uint32_t writers, uint32_t readers):
    return round_to_pages(
        sizeof(ControlBlock) + writers * sizeof(WriterLine) + readers * sizeof(ReaderLine)
        + sizeof(JournalBlock) + CURSOR_COUNT * sizeof(JournalCursor)
    )


cdef ControlBlock *control_of(Mapping mapping) noexcept:
    return <ControlBlock *> mapping.address


cdef Mapping open_control(SegmentStore store, object segment_size, uint32_t flags, uint32_t writers, uint32_t readers,
                          bint *alone):
    cdef ControlBlock control
    cdef Mapping memory
    new_control(&control, segment_size, flags, writers, readers)
    if store.path is None:
        alone[0] = True
        memory = AnonymousMapping(control.control_size)
        memcpy(memory.address, &control, sizeof(ControlBlock))
        return memory
    path = os.path.join(store.path, CONTROL_NAME)
    deadline = time.monotonic() + PATIENCE
    while True:
        alone[0] = store.lock(True)
        if alone[0] or store.lock(False):
            if os.path.lexists(path):
                break
            if alone[0]:
                make_control(store, path, &control)
                break
            store.unlock()                              # its maker died before there was one
        if time.monotonic() > deadline:
            raise JournalInUseError(f"{store.path!r} is being opened or repaired by another process")
        time.sleep(LOOK_AGAIN)
    memory = attach(path, segment_size)
    return memory


cdef bint share(SegmentStore store, uint64_t number) except -1:
    deadline = time.monotonic() + PATIENCE
    while not store.lock(False):
        if time.monotonic() > deadline:
            raise JournalInUseError(f"{store.path!r} is being repaired by another process")
        time.sleep(LOOK_AGAIN)
    return control_number(store) == number


cdef uint64_t control_number(SegmentStore store) except? 0:
    return 0 if store.path is None else os.stat(os.path.join(store.path, CONTROL_NAME)).st_ino


cdef int new_control(ControlBlock *control, object segment_size, uint32_t flags, uint32_t writers,
                     uint32_t readers) except -1:
    memset(control, 0, sizeof(ControlBlock))
    control.magic = JOURNAL_MAGIC
    control.version = JOURNAL_VERSION
    control.byte_order = BYTE_ORDER_MARK
    control.key = (int.from_bytes(os.urandom(8)) >> 1) + 1
    control.capacity = segment_size or 1 << 26
    control.control_size = control_size_for(writers, readers)
    control.flags = flags
    control.writer_lines = writers
    control.reader_lines = readers
    control.identity_crc32c = identity_checksum(control)
    return 0


cdef int make_control(SegmentStore store, str path, const ControlBlock *control) except -1:
    """Complete or not at all: a process that dies here leaves no control file, and the next one starts anew."""
    if store.bases():
        raise CorruptJournalError(
            f"{store.path!r} has segments and no control file: `nanobus journal repair` makes one", position=None
        )
    temporary = path + ".new"
    if os.path.lexists(temporary):                      # we are alone: of a process that died
        os.unlink(temporary)
    cdef FileMapping made = FileMapping(temporary, control.control_size)
    try:
        step()
        memcpy(made.address, control, sizeof(ControlBlock))
        step()
        made.sync()
    finally:
        made.close()
    step()
    os.rename(temporary, path)
    step()
    store.sync_names_or_raise()
    return 0


cdef uint32_t identity_checksum(const ControlBlock *control):
    return crc32c(0, <const uint8_t *> control, IDENTITY_SIZE - sizeof(uint32_t))


cdef Mapping attach(str path, object segment_size):
    cdef Mapping memory
    cdef ControlBlock *control
    try:
        memory = FileMapping(path)
    except BusFormatError as error:
        raise CorruptJournalError(f"this is no control file: {error}", position=None) from None
    control = control_of(memory)
    check_control(control, memory.size, path)
    if segment_size is not None and segment_size != control.capacity:
        raise BusFormatError(f"{path!r} has segments of {control.capacity} bytes, not {segment_size}")
    return memory


cdef int check_control(const ControlBlock *control, size_t size, str path) except -1:
    if size < sizeof(ControlBlock) or control.magic != JOURNAL_MAGIC:
        raise CorruptJournalError(f"{path!r} is no control file of a journal", position=None)
    if control.byte_order != BYTE_ORDER_MARK:
        raise JournalVersionError(f"{path!r} was written with another byte order")
    if control.version != JOURNAL_VERSION:
        raise JournalVersionError(f"{path!r} is of version {control.version}, this is version {JOURNAL_VERSION}")
    if (
        control.identity_crc32c != identity_checksum(control)
        or not is_segment_size(control.capacity)
        or not 1 <= control.writer_lines <= MAX_LINES or not 1 <= control.reader_lines <= MAX_LINES
        or control.control_size != control_size_for(control.writer_lines, control.reader_lines)
        or control.control_size > size
    ):
        raise CorruptJournalError(f"the control file {path!r} contradicts itself", position=None)
    return 0


def is_segment_size(value):
    return (
        isinstance(value, int) and not isinstance(value, bool) and SMALLEST_SEGMENT <= value <= LARGEST_SEGMENT
        and value & (value - 1) == 0
    )


cdef int read_boot(uint64_t *boot) except -1:
    """What tells one run of the machine from the next."""
    cdef char name[64]
    cdef int error = read_boot_name(name, sizeof(name))
    number = int(time.time() - time.monotonic()) // 60              # when it started, to the minute
    if error == 0:
        number = int(name.decode().replace("-", ""), 16)
    elif error not in (ENOENT, ENOSYS):                             # nothing tells here, and never will
        raise MappingError(error, f"cannot tell one boot of the machine from the next: {os.strerror(error)}")
    boot[0] = number & 0xFFFFFFFFFFFFFFFF
    boot[1] = number >> 64
    return 0


@contextmanager
def locked(path):
    """Hold the lock of a file; for what must happen once in all processes."""
    descriptor = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        fcntl.flock(descriptor, fcntl.LOCK_UN)              # a child forked meanwhile has the descriptor too
        os.close(descriptor)
