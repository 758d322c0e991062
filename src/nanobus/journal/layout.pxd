"""What a journal adds to the control block of bus/control.pxd, and the head of a segment. Pictures and structs only.

    control     ControlBlock | writers | readers | JournalBlock | 64 JournalCursors
    segment     SegmentHeader, padded to 4096 bytes | slots from `base` on, as far as the file is allocated | (nothing)

A segment holds the positions base .. base + segment_size, both multiples of segment_size; a position's byte is at
4096 + position - base in its file. What was allocated and not claimed yet is zero, so no stamp fits there.
"""
from libc.stdint cimport int64_t, uint32_t, uint64_t

from nanobus.bus.control cimport ControlBlock, ReaderLine, WriterLine

cdef enum:
    JOURNAL_VERSION = 1
    SEGMENT_HEADER_SIZE = 4096
    SMALLEST_SEGMENT = 4096
    LARGEST_SEGMENT = 1 << 30
    CHUNK_SIZE = 1 << 20                # a segment's file grows by this much
    CURSOR_COUNT = 64
    CURSOR_NAME_SIZE = 64               # bytes of UTF-8, the last of them zero

cdef struct SegmentHeader:
    uint64_t magic
    uint32_t version
    uint32_t byte_order
    uint64_t key
    uint64_t segment_size
    uint64_t base
    int64_t created                     # unix ns
    uint32_t unused
    uint32_t crc32c                     # of the bytes before

cdef struct JournalBlock:
    uint64_t tail                       # the first position that is kept
    uint64_t tail_check                 # tail ^ key
    uint64_t durable                    # every slot before it is on the disk
    uint64_t durable_check              # durable ^ key
    uint64_t syncing                    # owner.pxd: who is syncing; 0: nobody
    uint64_t sync_error                 # errno of the first sync that failed: nothing is promised until a recovery
    uint64_t boot[2]                    # of the machine, when the journal was last opened alone
    uint64_t unused[8]

cdef struct JournalCursor:
    char name[CURSOR_NAME_SIZE]         # all zero: free
    uint64_t position                   # of the next message for it
    uint64_t owner                      # owner.pxd: whose reader moves it; 0: nobody's
    uint32_t unused
    uint32_t name_crc32c
    uint64_t padding[5]

cdef inline JournalBlock *journal_block(ControlBlock *control) noexcept nogil:
    cdef WriterLine *writers = <WriterLine *> (control + 1)
    cdef ReaderLine *readers = <ReaderLine *> (writers + control.writer_lines)
    return <JournalBlock *> (readers + control.reader_lines)

cdef inline JournalCursor *journal_cursors(ControlBlock *control) noexcept nogil:
    return <JournalCursor *> (journal_block(control) + 1)
