"""Reading what is on a bus up to a position that is known before, and no further."""
cimport cython
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport INT64_MAX, uint32_t, uint64_t

from nanobus.bus.base cimport (
    BUS_CORRUPT, BUS_EMPTY, BUS_FAILED, BUS_LAPPED, BUS_OK, BUS_STOPPED, BusReader, BusStatus, Slot
)
from nanobus.bus.refusals cimport checksum_error

from nanobus.errors import BusClosedError, NanobusError


cdef enum:
    SKIPS_WITH_GIL = 32                 # slots that nobody wants before the rest is skipped without the GIL
    SKIPS = 4096                        # slots between looks for signals
    SIGNAL_CHECK_NS = 50_000_000


cdef class Playback:
    """Finds the slots somebody wants, from a reader's position to an end; waits for claims in flight before that end.

    Attributes
    ----------
    messages : int
        Slots read so far, wanted or not.
    first_position, last_position : int or None
        Of those.

    Notes
    -----
    Owns its reader, and keeps it from being let go by whoever closes the bus meanwhile. Used by one thread; signals are
    looked for every few thousand slots.
    """

    @property
    def first_position(self):
        return self.first if self.messages else None

    @property
    def last_position(self):
        return self.last if self.messages else None

    def close(self):
        """Close the reader."""
        if self.reader is not None:
            if self.using:
                self.using = False
                with cython.critical_section(self.reader):
                    self.reader.end_use()
            self.reader.close()

    cdef int begin(self, BusReader reader, uint64_t end) except -1:
        self.reader = reader
        with cython.critical_section(reader):
            reader.begin_use()
        self.using = True
        self.end = end
        self.end_time = INT64_MAX
        return 0

    cdef bint find(self) except -1:
        cdef BusStatus status
        cdef bint patient = False
        if self.found:
            self.found = False
            self.reader.advance()
        while self.reader.cursor < self.end:
            if self.reader.closed:
                raise BusClosedError("the bus was closed while it was replayed")
            if patient:
                with nogil:
                    status = self.skip(SKIPS)
            else:
                status = self.skip(SKIPS_WITH_GIL)
            patient = True
            PyErr_CheckSignals()
            if status == BUS_OK:
                if self.found:
                    self.check_time()
                    return True
            elif status != BUS_EMPTY and status != BUS_STOPPED:
                self.raise_unreadable(status)
            elif self.reader.cursor < self.end:
                with nogil:
                    self.reader.wait(SIGNAL_CHECK_NS)
        return False

    cdef int check_time(self) except -1:
        if self.needs_time and self.slot.header.timestamp == 0:
            raise ValueError(
                f"a speed, or a time to stop at, needs a bus with timestamps, "
                f"and the message at {self.slot.position} has none"
            )
        return 0

    cdef int raise_unreadable(self, BusStatus status) except -1:
        if status == BUS_LAPPED:
            raise NanobusError(
                f"the messages from {self.reader.lost_from} to {self.reader.cursor} were overwritten "
                f"before they could be replayed"
            )
        if status == BUS_CORRUPT:
            raise checksum_error(self.slot.position)
        if status == BUS_FAILED:
            self.reader.raise_failure()
        raise NanobusError(f"the bus cannot be read at {self.reader.cursor}")

    cdef bint wants(self, Slot *slot) noexcept nogil:
        return False

    cdef BusStatus skip(self, uint32_t count) noexcept nogil:
        """Up to the first slot that is wanted, which sets `found`, or over `count` others."""
        cdef BusStatus status
        for _ in range(count):
            status = self.reader.peek(&self.slot)
            if status != BUS_OK:
                return status
            if self.slot.header.timestamp >= self.end_time:
                self.end = min(self.end, self.slot.position)
            if self.slot.position >= self.end:
                return BUS_EMPTY
            if self.messages == 0:
                self.first = self.slot.position
            self.last = self.slot.position
            self.messages += 1
            if self.wants(&self.slot):
                self.found = True
                return BUS_OK
            self.reader.advance()
        return BUS_OK
