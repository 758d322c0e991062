"""What the files of a journal say of it, as plain values: for tools that look without opening, and for repair.

Nothing here touches a file: bytes go in, values or new bytes come out.
"""
from libc.stdint cimport uint8_t, uint32_t, uint64_t
from libc.string cimport memset

from nanobus.bus.claims cimport CUTTING
from nanobus.bus.control cimport CHECKSUM, IDENTITY_SIZE, TIMESTAMPS, ControlBlock, ReaderLine, WriterLine
from nanobus.core.layout cimport SlotHeader, make_padding, stamp_of
from nanobus.core.owner cimport owner_alive, process_of
from nanobus.journal.control_file cimport check_control, identity_checksum, new_control
from nanobus.journal.cursors cimport cursors_of
from nanobus.journal.layout cimport CURSOR_COUNT, SegmentHeader, journal_block, journal_cursors
from nanobus.journal.recovery cimport trusted_durable
from nanobus.journal.segment cimport is_header_of, write_header

from nanobus.bus.claims cimport Claims, bind

from nanobus.errors import CorruptJournalError
from nanobus.journal.looks import ControlLook, HeaderLook, Intent, LineLook


def look_at_control(bytes content not None, str path not None):
    """Return the ControlLook of a control file's bytes.

    Raises
    ------
    CorruptJournalError, JournalVersionError
        It is no control file, or of another version. `path` is only for the text.
    """
    cdef ControlBlock *control = <ControlBlock *> <const uint8_t *> content
    cdef WriterLine *writers
    cdef ReaderLine *readers
    cdef Claims claims
    cdef uint32_t index
    if <size_t> len(content) < sizeof(ControlBlock):
        raise CorruptJournalError(f"{path!r} is no control file of a journal", position=None)
    check_control(control, len(content), path)
    bind(&claims, control)
    writers, readers = claims.writers, claims.readers
    intents, lines = [], []
    for index in range(control.writer_lines):
        if writers[index].owner or writers[index].intent_length:
            lines.append(line_look("writer", writers[index].owner, None))
        if writers[index].intent_length:
            intents.append(Intent(
                writers[index].intent_position, writers[index].intent_length & ~<uint64_t> CUTTING,
                writers[index].owner != 0 and owner_alive(writers[index].owner),
                (writers[index].intent_length & CUTTING) != 0,
            ))
    for index in range(control.reader_lines):
        if readers[index].owner:
            lines.append(line_look("reader", readers[index].owner, readers[index].position))
    block = journal_block(control)
    try:
        cursors = cursors_of(&claims)
    except CorruptJournalError:
        cursors = None
    return ControlLook(
        key=control.key, segment_size=control.capacity, head=control.head,
        tail=block.tail if block.tail_check == block.tail ^ control.key else 0,     # as in recovery: what is there, is
        durable=trusted_durable(control),
        timestamps=(control.flags & TIMESTAMPS) != 0, checksum=(control.flags & CHECKSUM) != 0,
        intents=tuple(intents), lines=tuple(lines), cursors=cursors,
    )


cdef object line_look(str role, uint64_t owner, position):
    return LineLook(role, process_of(owner), owner != 0 and owner_alive(owner), position)


def look_at_header(bytes content not None):
    """Return the HeaderLook of a segment's first bytes; None where they are no sound header of this version."""
    cdef SegmentHeader *header = <SegmentHeader *> <const uint8_t *> content
    cdef ControlBlock like
    if <size_t> len(content) < sizeof(SegmentHeader):
        return None
    memset(&like, 0, sizeof(like))
    like.key, like.capacity = header.key, header.segment_size
    if not is_header_of(header, &like, header.base):
        return None
    return HeaderLook(header.key, header.segment_size, header.base, header.created)


def make_header(uint64_t key, uint64_t segment_size, uint64_t base):
    """Return the bytes of a segment's header."""
    cdef SegmentHeader header
    cdef ControlBlock like
    memset(&like, 0, sizeof(like))
    like.key, like.capacity = key, segment_size
    write_header(&header, &like, base)
    return (<const char *> &header)[:sizeof(header)]


def make_gap(uint64_t key, uint64_t position, uint64_t length):
    """Return the bytes of the header of a padding slot, that readers skip `length` bytes with."""
    cdef SlotHeader header
    make_padding(&header, length)
    header.stamp = stamp_of(position, key)
    return (<const char *> &header)[:sizeof(header)]


def make_control(uint64_t key, uint64_t segment_size, *, timestamps, checksum):
    """Return the bytes of a control file that belongs to segments of `key`; its head is 0."""
    cdef ControlBlock control
    new_control(&control, segment_size, (TIMESTAMPS if timestamps else 0) | (CHECKSUM if checksum else 0), 64, 64)
    control.key = key
    control.identity_crc32c = identity_checksum(&control)
    return (<const char *> &control)[:IDENTITY_SIZE] + bytes(control.control_size - IDENTITY_SIZE)


def with_end(bytes content not None, uint64_t tail, uint64_t head, dict moved not None):
    """Return the bytes of a control file with another first and last position.

    Cursors at positions that `moved` has go where it says; none of them stays outside of the two.
    """
    cdef bytearray changed = bytearray(content)
    cdef uint8_t *bytes_of = changed
    cdef ControlBlock *control = <ControlBlock *> bytes_of
    cdef uint32_t index
    cdef uint64_t position
    block = journal_block(control)
    block.durable = min(trusted_durable(control), head)
    block.durable_check = block.durable ^ control.key
    block.tail = tail
    block.tail_check = tail ^ control.key
    control.head = head
    cursors = journal_cursors(control)
    for index in range(<uint32_t> CURSOR_COUNT):
        position = moved.get(cursors[index].position, cursors[index].position)
        cursors[index].position = max(tail, min(head, position))
    return bytes(changed)
