"""CircularBus: a ring of fixed size in one shareable mapping. Old messages are overwritten once nobody waits for them.

The claim protocol is told in claims.pxd, waiting in waiting.pxd, the slot in core/layout.pxd.
"""
import os

from libc.stdint cimport UINT32_MAX, uint32_t, uint64_t

from nanobus.bus.base cimport BusReader, BusWriter
from nanobus.bus.circular_reader cimport CircularReader, new_adopted_reader, new_probe, new_registered_reader
from nanobus.bus.circular_writer cimport new_writer
from nanobus.bus.claims cimport (
    bind_ring, disown, gate, reap, release_reader_line, take_reader_line, take_writer_line
)
from nanobus.bus.control cimport (
    CHECKSUM, OVERFLOW_ERROR, OVERFLOW_OVERWRITE, TIMESTAMPS, ControlBlock, ReaderLine, WriterLine
)
from nanobus.bus.counters cimport count
from nanobus.bus.forking cimport disown_former_lines
from nanobus.bus.options cimport WAIT_FLAGS, checked_choice, checked_lines
from nanobus.bus.ring_file cimport attach, control_size_for, inherit, write_control
from nanobus.bus.sharing cimport SharedBus
from nanobus.bus.waiting cimport wake
from nanobus.core.atomics cimport fence_full, load_acquire
from nanobus.core.layout cimport SLOT_HEADER_SIZE
from nanobus.core.parking cimport fence_heavy_side_works
from nanobus.core.steps cimport step
from nanobus.memory.ring cimport RingMapping

from nanobus.errors import NanobusError, TooManyHandlesError

cdef dict OVERFLOW_FLAGS = {"block": 0, "error": OVERFLOW_ERROR, "overwrite": OVERFLOW_OVERWRITE}


cdef class CircularBus(SharedBus):
    """A ring of messages in memory that threads and processes share.

    Parameters
    ----------
    capacity : int, optional
        Bytes of the ring: a power of two, at least 4096 and a page. May be left out to open an existing `path`.
    path : str, optional
        A file to hold the ring, so that other programs can open it: made with mode 0600 if it does not exist, joined if
        it does. Put it on a memory file system such as /dev/shm. None: anonymous memory.
    overflow : "block", "error" or "overwrite"
        What happens to a writer that would pass the slowest gating reader: it waits, it is told, or it goes on and
        readers are told of a Gap.
    wait : "block", "spin" or "yield"
        How handles wait: briefly spinning and then asleep; on the processor; or yielding it.
    timestamps, checksum : bool
        Whether slots carry the time of their commit (unix ns), and a CRC-32C that readers check.
    writers, readers : int
        How many can be open at a time, 1 to 1024 each. 128 bytes of memory for each.

    Raises
    ------
    BusFormatError
        `path` holds something else, another version, or a ring of another capacity.
    MappingError
        The operating system refused the memory or the file; `errno` says why.

    Notes
    -----
    A message takes 32 bytes of header plus its payload, rounded up to 32. A payload may be up to half the capacity.
    Every method may be called from any thread; readers, writers and senders serve one thread each.

    A file must not be shortened while it is open. Parameters other than `path` describe a new ring; on an existing one
    `capacity` must fit if it is given, and the others are those it was made with.
    """

    def __init__(self, capacity=None, path=None, *, overflow="block", wait="block", timestamps=False, checksum=False,
                 writers=64, readers=64):
        self.begin_once()
        cdef uint32_t flags = (
            checked_choice("overflow", overflow, OVERFLOW_FLAGS) | checked_choice("wait", wait, WAIT_FLAGS)
            | (TIMESTAMPS if timestamps else 0) | (CHECKSUM if checksum else 0)
        )
        checked_lines("writers", writers)
        checked_lines("readers", readers)
        if path is not None:
            path = os.fsdecode(path)
        cdef size_t control_size = control_size_for(writers, readers)
        cdef RingMapping mapping = None
        while mapping is None:
            if path is not None and os.path.lexists(path):
                mapping = attach(path, capacity)
            if mapping is None:
                mapping = RingMapping(capacity, control_size, path)
                step()
                if mapping.created:
                    write_control(mapping, flags, writers, readers)
                    step()
                    if path is not None and not mapping.publish():
                        mapping = None                      # somebody else was faster: open theirs
                else:
                    mapping = None
        self.begin(mapping)

    cdef int begin(self, RingMapping mapping) except -1:
        step()
        self.mapping = self.memory = mapping
        self.capacity = mapping.capacity
        self.path = mapping.path
        bind_ring(&self.claims, <ControlBlock *> mapping.address, mapping.ring)
        if mapping.path is not None:
            disown_former_lines(&self.claims, mapping.descriptor, disown)
        self.max_payload = <uint32_t> min(mapping.capacity // 2 - SLOT_HEADER_SIZE, UINT32_MAX)
        self.fence_after_commit = not fence_heavy_side_works()
        cdef BusWriter shared = self.open_writer()
        self.probe = self.open_probe()
        self.shared_writer = shared
        self.closed = False                                 # from here on every method works
        self.keep(shared)
        return 0

    def carriage(self):
        if type(self) is not CircularBus:
            raise NanobusError(f"a {type(self).__qualname__} cannot be had in another process, a CircularBus can")
        self.check_open()
        return inherit_ring, (self.mapping.descriptor, self.path), (self.mapping.descriptor,)

    def statistics(self):
        """Return a BusStatistics; see `Bus.statistics`."""
        self.check_open()
        from nanobus.bus.statistics import BusStatistics
        return BusStatistics(**count(&self.claims))

    cdef BusWriter open_writer(self):
        cdef WriterLine *line = take_writer_line(&self.claims)
        if line == NULL:
            self.reap_all()
            line = take_writer_line(&self.claims)
        if line == NULL:
            raise TooManyHandlesError(f"all {self.claims.control.writer_lines} lines for writers are taken")
        return new_writer(self, self.mapping, &self.claims, line, self.fence_after_commit)

    cdef BusReader open_reader(self, object start, bint gating, object lag_limit):
        cdef ReaderLine *line = take_reader_line(&self.claims)
        if line == NULL:
            reap(&self.claims, NULL)
            line = take_reader_line(&self.claims)
        if line == NULL:
            raise TooManyHandlesError(f"all {self.claims.control.reader_lines} lines for readers are taken")
        return new_registered_reader(self, self.mapping, &self.claims, line, start, gating, lag_limit)

    cdef BusReader open_adopted(self, ReaderLine *line):
        return new_adopted_reader(self, self.mapping, &self.claims, line)

    cdef ReaderLine *lend_line(self, BusReader reader):
        return (<CircularReader> reader).lend_line()

    cdef int reap_all(self) except -1:
        cdef ReaderLine *helper = take_reader_line(&self.claims)        # a sealer has to be seen by the gate
        reap(&self.claims, NULL if helper == NULL else &helper.sealing)
        if helper != NULL:
            release_reader_line(helper)
        return 0

    cdef BusReader open_probe(self):
        return new_probe(self, self.mapping, &self.claims)

    cdef uint64_t load_head(self) noexcept nogil:
        return load_acquire(&self.claims.control.head)

    cdef uint64_t load_gate(self) noexcept nogil:
        return gate(&self.claims)

    cdef void wake_all(self) noexcept nogil:
        fence_full()
        wake(self.claims.control)

    cdef bint waits_for_room(self) noexcept nogil:
        return not self.claims.control.flags & OVERFLOW_ERROR


def inherit_ring(descriptor, path):
    """Open the ring behind a descriptor that the parent process handed down."""
    cdef CircularBus bus = CircularBus.__new__(CircularBus)
    bus.begin_once()
    bus.begin(inherit(descriptor, path))
    return bus
