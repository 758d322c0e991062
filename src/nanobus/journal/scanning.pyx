"""SegmentScan: a walk over the slots of one segment that only reads, and believes nothing.

It reads with `pread` instead of a mapping, for a file that shrinks under a mapping, or a disk that fails, ends the
process by a signal; here both are a result. A writer stamps a slot last, and a read copies upwards: where the copy
shows the stamp, it shows what stands behind it. What does not fit is read once more before it is judged, since the
bytes at hand may be older than the file.
"""
cimport cython
from libc.errno cimport EINTR
from libc.stdint cimport int64_t, uint8_t, uint32_t, uint64_t
from libc.stdlib cimport free, malloc

from nanobus.bus.envelope cimport envelope_of
from nanobus.core.layout cimport (
    PADDING_ID, SLOT_ALIGNMENT, SLOT_HEADER_SIZE, SlotHeader, slot_checksum, slot_length, stamp_of
)
from nanobus.journal.layout cimport SEGMENT_HEADER_SIZE, SegmentHeader
from nanobus.memory.platform cimport close_file

cdef extern from "<unistd.h>" nogil:
    ssize_t pread(int file, void *bytes, size_t size, int64_t offset)

cdef extern from "<errno.h>" nogil:
    int errno_of_last_call "errno"

cdef enum:
    AT_ONCE = 1 << 18                   # bytes

cdef enum Look:
    SOUND
    PADDED
    AT_END                              # of the segment
    UNSTAMPED
    TOO_SHORT
    CUT_OFF
    TOO_LONG
    ALTERED

cdef tuple REASONS = (
    "a message", "padding", "the segment ends",
    "no message starts there, though one was committed: its header is damaged",
    "its segment is truncated, or the disk cannot read it",
    "the message there is longer than what is left of its segment, or the disk cannot read it",
    "the size of the message there leaves its segment: its header is damaged",
    "the checksum of the message there does not fit its bytes",
)


@cython.final
cdef class SegmentScan:
    """A walk over the slots of one segment's file.

    Parameters
    ----------
    descriptor : int
        Of the file, open for reading. It belongs to this object from then on.
    base, size, key : int
        First position, length in positions, and the journal's key.
    checked : bool
        Whether messages carry checksums.

    Attributes
    ----------
    position : int
        Of the slot that is looked at next; may be set.
    reason : str
        What the last look found there.
    passed : int
        Position of the last slot that `walk` has passed.
    messages, payload_bytes, padding_bytes : int
        What `walk` has passed.

    Notes
    -----
    For one thread.
    """
    cdef int descriptor
    cdef readonly uint64_t base
    cdef uint64_t size
    cdef uint64_t key
    cdef bint checked
    cdef uint64_t cursor
    cdef Look found
    cdef uint8_t *bytes_here            # of positions here .. there
    cdef size_t room
    cdef uint64_t here
    cdef uint64_t there
    cdef uint32_t last_checksum
    cdef readonly uint64_t passed
    cdef readonly uint64_t messages
    cdef readonly uint64_t payload_bytes
    cdef readonly uint64_t padding_bytes

    def __cinit__(self, int descriptor, uint64_t base, uint64_t size, uint64_t key, bint checked):
        self.descriptor = descriptor
        self.base = self.cursor = self.here = self.there = base
        self.size = size
        self.key = key
        self.checked = checked
        self.found = SOUND

    def __dealloc__(self):
        free(self.bytes_here)
        close_file(self.descriptor)

    @property
    def position(self):
        return self.cursor

    @position.setter
    def position(self, uint64_t value):
        if value % SLOT_ALIGNMENT or not self.base <= value <= self.base + self.size:
            raise ValueError(
                f"position must be a multiple of 32 in {self.base}..{self.base + self.size}, got {value}"
            )
        self.cursor = value

    @property
    def reason(self):
        return REASONS[self.found]

    @property
    def at_end(self):
        """Whether the segment is over."""
        return self.found == AT_END

    @property
    def may_be_free(self):
        """Whether nothing was ever written where the last look was, as far as the file tells."""
        return self.found == UNSTAMPED or self.found == TOO_SHORT

    def header(self):
        """Return the first bytes of the file, which say whose segment it is; fewer where it is shorter."""
        cdef SegmentHeader header
        cdef ssize_t got = pread(self.descriptor, &header, sizeof(header), 0)
        while got < 0 and errno_of_last_call == EINTR:
            got = pread(self.descriptor, &header, sizeof(header), 0)
        return (<const char *> &header)[:max(got, 0)]

    def next(self):
        """Return the next message as an Envelope and pass it; None: `reason` says what is there instead."""
        cdef SlotHeader *header
        while True:
            self.look()
            if self.found != PADDED:
                break
            self.cursor += slot_length(self.header_here().size)
        if self.found != SOUND:
            return None
        header = self.header_here()
        envelope = envelope_of(self.cursor, header, header + 1)
        self.last_checksum = header.crc32c
        self.cursor += slot_length(header.size)
        return envelope

    def traits(self):
        """Return whether the next message has a timestamp, and whether it has a checksum; None where there is none."""
        cdef bint checked = self.checked
        self.checked = False
        envelope = self.next()
        self.checked = checked
        if envelope is None:
            return None
        return envelope.timestamp != 0, self.last_checksum != 0

    def walk(self, uint64_t limit):
        """Pass every sound slot that begins before `limit`, counting; return whether there may be more."""
        cdef SlotHeader *header
        cdef uint64_t length
        with nogil:
            while self.cursor < limit:
                self.look()
                if self.found > PADDED:
                    break
                header = self.header_here()
                length = slot_length(header.size)
                if self.found == SOUND:
                    self.messages += 1
                    self.payload_bytes += header.size
                else:
                    self.padding_bytes += length
                self.passed = self.cursor
                self.cursor += length
        return self.found <= PADDED

    def fits(self, uint64_t position):
        """Whether the file has the stamp of a slot at `position`."""
        if position % SLOT_ALIGNMENT or not self.base <= position < self.base + self.size:
            return False
        self.there = self.here
        return self.bring(position, SLOT_HEADER_SIZE) and self.is_stamped(position)

    def find_stamp(self, uint64_t start):
        """Return the first position from `start` on with the stamp of a slot; None where there is none in the file."""
        cdef uint64_t position = start
        cdef bint found = False
        with nogil:
            self.there = self.here
            while position < self.base + self.size and self.bring(position, SLOT_HEADER_SIZE):
                found = self.is_stamped(position)
                if found:
                    break
                position += SLOT_ALIGNMENT
        return position if found else None

    cdef SlotHeader *header_here(self) noexcept nogil:
        return <SlotHeader *> (self.bytes_here + (self.cursor - self.here))

    cdef bint is_stamped(self, uint64_t position) noexcept nogil:
        return (<SlotHeader *> (self.bytes_here + (position - self.here))).stamp == stamp_of(position, self.key)

    cdef void look(self) noexcept nogil:
        """What is at the cursor, into `found`."""
        self.found = self.judge()
        if self.found > AT_END:
            self.there = self.here                          # forget what was read: it may be older than the file
            self.found = self.judge()

    cdef Look judge(self) noexcept nogil:
        cdef SlotHeader *header
        cdef uint64_t end
        if self.cursor >= self.base + self.size:
            return AT_END
        if not self.bring(self.cursor, SLOT_HEADER_SIZE):
            return TOO_SHORT
        if not self.is_stamped(self.cursor):
            return UNSTAMPED
        header = self.header_here()
        end = self.cursor + slot_length(header.size)
        if end > self.base + self.size:
            return TOO_LONG
        if header.message == PADDING_ID:                    # of padding only the header need exist
            return ALTERED if self.checked and slot_checksum(header) != header.crc32c else PADDED
        if not self.bring(self.cursor, end - self.cursor):
            return CUT_OFF
        header = self.header_here()                         # the bytes may have moved
        if self.checked and slot_checksum(header) != header.crc32c:
            return ALTERED
        return SOUND

    cdef bint bring(self, uint64_t position, size_t size) noexcept nogil:
        """Have `size` bytes of the file from `position` on; False where it is shorter, or cannot be read."""
        cdef size_t wanted
        cdef ssize_t got
        cdef uint8_t *wider
        if self.here <= position and position + size <= self.there:
            return True
        wanted = min(max(size, <size_t> AT_ONCE), <size_t> (self.base + self.size - position))
        if size > wanted:
            return False
        if wanted > self.room:
            wider = <uint8_t *> malloc(wanted)
            if wider == NULL:
                return False
            free(self.bytes_here)
            self.bytes_here = wider
            self.room = wanted
        self.here = self.there = position
        while self.there < position + wanted:
            got = pread(
                self.descriptor, self.bytes_here + (self.there - position), position + wanted - self.there,
                <int64_t> (SEGMENT_HEADER_SIZE + self.there - self.base),
            )
            if got < 0 and errno_of_last_call == EINTR:
                continue
            if got <= 0:
                break
            self.there += got
        return position + size <= self.there
