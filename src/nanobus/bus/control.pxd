"""The control block of a bus: what its processes share besides the slots. A picture and structs, nothing else.

       0  identity    written once, before anybody else can see the block
     128  head        where the next claim starts; compare-and-swapped by every writer
     256  parking     who sleeps, and the word they sleep on
     384  totals      counters of handles that are gone
     512  boundaries  64 slot boundaries spread over the ring: where a reader may start or resume
    1024  writers     one line of 128 bytes a writer
     ...  readers     one line of 128 bytes a reader

Whatever is written by different threads stands 128 bytes apart: two cache lines, as processors fetch them in pairs.
"""
from libc.stdint cimport uint32_t, uint64_t

cdef enum:
    CONTROL_VERSION = 1
    BYTE_ORDER_MARK = 0x01020304
    IDENTITY_SIZE = 128
    BOUNDARY_COUNT = 64
    LINE_SIZE = 128
    MAX_LINES = 1024                    # of writers, and of readers

cdef enum ControlFlag:
    TIMESTAMPS = 1
    CHECKSUM = 2
    OVERFLOW_ERROR = 4
    OVERFLOW_OVERWRITE = 8
    WAIT_SPIN = 16
    WAIT_YIELD = 32

cdef enum Parked:
    READERS_PARKED = 1
    WRITERS_PARKED = 2

cdef enum Gating:
    NOT_GATING = 0
    GATING = 1
    REVOCABLE = 2                       # gating until it lags more than `lag_limit`
    DETACHED = 3                        # was revocable, was revoked
    GATING_STATE = 3                    # the bits for one of these
    GATING_TURN = 4                     # the bits above count the owners: revoking one never meets the next

cdef struct WriterLine:
    uint64_t owner                      # owner.pxd; 0: free
    uint64_t intent_position            # the slot it is about to claim or has claimed ...
    uint64_t intent_length              # ... and its length; 0: nothing outstanding; odd: a batch. See claims.pxd
    uint64_t sealing                    # position + 1 of the dead claim it is sealing; 0: none
    uint64_t limit                      # it claims no byte at or past this without looking again
    uint64_t committed
    uint64_t committed_bytes            # of payload
    uint64_t aborted
    uint64_t full                       # claims that found no room
    uint64_t unused[7]

cdef struct ReaderLine:
    uint64_t owner
    uint64_t position                   # every slot before it may be overwritten as far as this reader is concerned
    uint64_t lag_limit
    uint32_t gating                     # Gating state | turn
    uint32_t gaps
    uint64_t lost_bytes                 # of the log, between where gaps began and where they resumed
    uint64_t sealing                    # as in WriterLine
    uint64_t heir                       # who gets the line when its owner dies (handover.pxd); 0: whoever wants it
    uint64_t unused[9]

cdef struct ControlBlock:
    uint64_t magic
    uint32_t version
    uint32_t byte_order
    uint64_t key
    uint64_t capacity
    uint64_t control_size
    uint32_t flags
    uint32_t writer_lines
    uint32_t reader_lines
    uint32_t section_shift              # log2(capacity / BOUNDARY_COUNT)
    uint64_t identity_padding[8]
    uint32_t identity_unused
    uint32_t identity_crc32c            # of the 124 bytes before

    uint64_t head
    uint64_t head_padding[15]

    uint32_t parked
    uint32_t news                       # counts wake-ups: the word sleepers sleep on
    uint32_t parking_padding[30]

    uint64_t committed
    uint64_t committed_bytes
    uint64_t aborted
    uint64_t full
    uint64_t sealed                     # claims of the dead turned into padding
    uint64_t dead_writers
    uint64_t dead_readers
    uint64_t revoked_readers
    uint32_t writers_used               # lines at or past this were never taken
    uint32_t readers_used
    uint64_t totals_padding[7]

    uint64_t boundaries[BOUNDARY_COUNT]
