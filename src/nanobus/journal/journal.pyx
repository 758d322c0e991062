"""JournalBus: the bus that keeps everything, in segments on disk or in memory.

The claim protocol is told in bus/claims.pxd, the files in layout.pxd, what is on the disk in durability.pxd, what
opening puts right in recovery.pxd, and how old segments go in trimming.pxd.
"""
import datetime
import logging
import os
from threading import get_ident

cimport cython
from libc.stdint cimport int64_t, uint32_t, uint64_t

from nanobus.bus.base cimport BUS_OK, BusHandle, BusReader, BusWriter, Slot
from nanobus.bus.claims cimport bind, frontier, gate, take_reader_line, take_writer_line
from nanobus.bus.control cimport CHECKSUM, TIMESTAMPS, ReaderLine, WriterLine
from nanobus.bus.counters cimport count
from nanobus.bus.forking cimport disown_former_lines
from nanobus.bus.options cimport WAIT_FLAGS, checked_choice, checked_lines
from nanobus.bus.refusals cimport check_plain_start
from nanobus.bus.sharing cimport SharedBus
from nanobus.bus.waiting cimport wake
from nanobus.core.atomics cimport fence_full, load_acquire, load_acquire_32
from nanobus.core.layout cimport SLOT_HEADER_SIZE
from nanobus.core.owner cimport owner_alive, process_of
from nanobus.core.parking cimport fence_heavy_side_works
from nanobus.core.steps cimport COUNTS_STEPS as counts_steps
from nanobus.journal.control_file cimport control_number, control_of, open_control, share
from nanobus.journal.cursors cimport (
    add_cursor, check_cursor_name, cursors_of, disown_all, drop_cursor, lowest_cursor, take_cursor
)
from nanobus.journal.durability cimport ensure_durable
from nanobus.journal.journal_reader cimport JournalReader, new_adopted_reader, new_reader
from nanobus.journal.journal_writer cimport JournalWriter, new_writer
from nanobus.journal.keeping cimport keep, settle_dead
from nanobus.journal.layout cimport journal_block
from nanobus.journal.recovery cimport recover
from nanobus.journal.segment cimport leave_segment
from nanobus.journal.store cimport SegmentStore

import nanobus
from nanobus.bus.times import timestamp_of
from nanobus.errors import CorruptJournalError, NanobusError, TooManyHandlesError
from nanobus.journal.control_file import is_segment_size, locked
from nanobus.journal.keeper import Keeper
from nanobus.journal.reports import JournalStatistics, Recovery, Retention

LOG = logging.getLogger("nanobus.journal")
COUNTS_STEPS = bool(counts_steps)        # this is the build that the kill sweep needs

cdef tuple SYNC_POLICIES = ("none", "interval", "commit")


cdef class JournalBus(SharedBus):
    """A log of messages that keeps what it is told to keep: on disk, or in memory.

    Parameters
    ----------
    path : str or path-like, optional
        The folder: made with mode 0700 if it does not exist, joined if it does, recovered if its last users died. None:
        in memory, for the threads of this process, growing until retention lets segments go.
    segment_size : int, optional
        Bytes of log in one file: a power of two from 4096 to 2**30; 64 MiB if the journal is new.
    sync : "none", "interval" or "commit"
        What survives the machine: see the table in the README. "none": what the kernel wrote by then; whole segments
        are synced once they are full. "interval": all but the last `sync_interval`. "commit": a returned write.
    sync_interval : float
        Seconds.
    retention : Retention, optional
        What is removed when; None keeps everything.
    wait : "block", "spin" or "yield"
        How handles wait, as in CircularBus.
    timestamps, checksum : bool
        Whether messages carry the time of their commit (unix ns), and a CRC-32C that readers check.
    writers, readers : int
        How many can be open at a time, 1 to 1024 each.

    Attributes
    ----------
    recovery : Recovery
        What opening it had to put right.
    tail : int
        The first position that is kept.

    Raises
    ------
    BusFormatError
        `path` is no folder of a journal, or one with segments of another size. CorruptJournalError: it is damaged.
        JournalVersionError: another version or byte order wrote it.
    JournalInUseError
        Another process recovers or repairs it, and did not finish within 10 s.
    MappingError
        The operating system refused; `errno` says why. EPERM: the folder belongs to somebody else, or others may write
        to it.

    Notes
    -----
    A message takes 32 bytes of header plus its payload, rounded up to 32; a payload may be up to segment_size - 32. A
    write waits for nobody; it fails with MappingError where the disk is full, and nothing is half written.

    Every method may be called from any thread and any number of processes; readers, writers and senders serve one
    thread each. Files must not be shortened while the journal is open. `segment_size`, `wait`, `timestamps`,
    `checksum`, `writers` and `readers` describe a new journal; an existing one keeps its own.
    """

    def __init__(self, path=None, *, segment_size=None, sync="none", sync_interval=0.1, retention=None, wait="block",
                 timestamps=True, checksum=True, writers=64, readers=64):
        self.begin_once()
        cdef uint32_t flags = (
            checked_choice("wait", wait, WAIT_FLAGS) | (TIMESTAMPS if timestamps else 0) | (CHECKSUM if checksum else 0)
        )
        cdef bint alone = False, was_alone = False
        checked_lines("writers", writers)
        checked_lines("readers", readers)
        if segment_size is not None and not is_segment_size(segment_size):
            raise ValueError(f"segment_size must be a power of two in 4096..2**30, got {segment_size!r}")
        if sync not in SYNC_POLICIES:
            raise ValueError(f"sync must be one of {', '.join(map(repr, SYNC_POLICIES))}, got {sync!r}")
        if not isinstance(sync_interval, (int, float)) or not 0 < sync_interval < 1e6:
            raise ValueError(f"sync_interval must be > 0 seconds, got {sync_interval!r}")
        if retention is not None and not isinstance(retention, Retention):
            raise TypeError(f"retention must be a Retention or None, got {retention!r}")
        cdef SegmentStore store = SegmentStore(path)
        cdef uint64_t number
        while True:
            self.memory = open_control(store, segment_size, flags, writers, readers, &alone)
            number = control_number(store)
            bind(&self.claims, control_of(self.memory))
            if store.path is not None:
                disown_former_lines(&self.claims, store.gatekeeper, disown_all)
            self.claims.section = self.claims.control.capacity
            self.claims.tail = &journal_block(self.claims.control).tail
            self.claims.locate = NULL                       # every user of the claims has its own
            self.recovery = recover(&self.claims, store) if alone else Recovery(
                "joined", head=load_acquire(&self.claims.control.head)
            )
            self.report_recovery(store.path)
            was_alone |= alone
            if not alone or share(store, number):
                break
        if retention is not None and retention.age is not None and not self.claims.control.flags & TIMESTAMPS:
            raise ValueError(f"retention by age needs a journal with timestamps, got {retention!r}")
        self.store = store
        self.path = store.path
        self.segment_size = self.claims.section
        self.sync_policy = sync
        self.sync_interval = sync_interval
        self.key = self.claims.control.key
        self.retention = retention
        self.keeps_cursors = True
        if store.path is not None:
            self.claiming = {}
        self.max_payload = <uint32_t> (self.claims.section - SLOT_HEADER_SIZE)
        self.fence_after_commit = not fence_heavy_side_works()
        cdef BusWriter shared = self.open_writer()
        self.probe = new_reader(self, self.memory, self.store, &self.claims)
        self.shared_writer = shared
        self.closed = False                                 # from here on every method works
        self.keep(shared)
        if self.path is not None:
            self.described = set()
            if was_alone:
                schema_keeper().forget_what_was_cut(self)   # by this recovery, or by one that did not come so far
        if path is not None or retention is not None:
            self.keeper = Keeper(self, sync_interval)

    cdef int report_recovery(self, path) except -1:
        found = self.recovery
        if found.cut_bytes:
            LOG.warning(
                "%s (%s): recovered: %d bytes from position %d on are not there, or not sound, and were cut away",
                path, found.reason, found.cut_bytes, found.cut_from,
            )
        elif found.sealed:
            LOG.warning("%s (%s): recovered: %d unfinished messages sealed", path, found.reason, found.sealed)

    @property
    def tail(self):
        """The first position that is kept."""
        self.check_open()
        return load_acquire(&journal_block(self.claims.control).tail)

    @property
    def durable(self):
        """Every message before this position is on the disk, and survives the machine."""
        self.check_open()
        return load_acquire(&journal_block(self.claims.control).durable)

    def sync(self):
        """Return once everything that was written before the call is on the disk.

        Raises
        ------
        MappingError
            The disk refused. What was not on it by then is only in memory; every later promise is refused as well.
        NanobusError
            This thread has a claim open: it would wait for itself.
        """
        cdef uint64_t sealing = 0                           # nothing is overwritten here: no gate has to see it
        self.check_open()
        if self.path is None:
            return
        with self.lock:
            if get_ident() in self.claiming:
                raise NanobusError("a sync waits for every claim: leave the `with claim()` block of this thread first")
        if not self.begin_work():
            self.check_open()
        try:
            ensure_durable(&self.claims, self.store, load_acquire(&self.claims.control.head), &sealing)
        finally:
            self.end_work()

    def cursors(self):
        """Return the named cursors: name -> position of the next message for it."""
        self.check_open()
        with self.lock_cursors():
            return cursors_of(&self.claims)

    def drop_cursor(self, name):
        """Forget a named cursor, so that retention waits for it no more.

        Raises
        ------
        KeyError
            There is none of that name.
        CursorInUseError
            A reader has it.
        """
        self.check_open()
        with self.lock_cursors():
            drop_cursor(&self.claims, name)

    def other_processes(self):
        """Return the ids of the other living processes that have the journal open."""
        self.check_open()
        cdef uint64_t owner
        found = set()
        for index in range(load_acquire_32(&self.claims.control.writers_used)):
            owner = load_acquire(&self.claims.writers[index].owner)     # every open JournalBus has a writer
            if owner != 0 and owner != self.claims.owner and owner_alive(owner):
                found.add(process_of(owner))
        return sorted(found)

    def statistics(self):
        """Return a JournalStatistics: a moment's look at the counters; see `Bus.statistics`."""
        self.check_open()
        block = journal_block(self.claims.control)
        return JournalStatistics(
            tail=load_acquire(&block.tail), durable=load_acquire(&block.durable), segments=len(self.store.bases()),
            **count(&self.claims),
        )

    def keep_house(self):
        """Settle what the dead left, sync what the policy says, let old segments go, make the next one ready: what the
        keeper does by itself."""
        if not self.begin_work():
            return
        try:
            keep(&self.claims, self.store, self.sync_policy, self.retention)
        finally:
            self.end_work()

    cdef bint begin_work(self):             # `close` does not give the process's lock away meanwhile
        with self.lock:
            if self.closed:
                return False
            self.at_work += 1
            return True

    cdef int end_work(self) except -1:
        with self.lock:
            self.at_work -= 1
        self.let_others_in()
        return 0

    cdef int let_others_in(self) except -1:
        with self.lock:
            if self.closed and self.path is not None and not self.at_work and not self.has_lines():
                self.store.unlock()                         # nothing of this object has a line any more
        return 0

    def carriage(self):
        from nanobus.journal.joining import carriage_of
        return carriage_of(self)

    def close(self):
        """Close every handle of this object; with `sync="interval"` or "commit" everything is on the disk then.

        The memory goes when the last handle does. Other processes, and other JournalBus objects, go on.
        """
        cdef uint64_t sealing = 0                           # nothing is overwritten here: no gate has to see it
        keeper = None
        with self.lock:
            keeper, self.keeper = self.keeper, None
        if keeper is not None:
            keeper.stop()
        was_open = not self.closed
        SharedBus.close(self)
        if was_open and self.path is not None:
            try:
                if self.sync_policy != "none":
                    ensure_durable(&self.claims, self.store, frontier(&self.claims), &sealing)
            finally:
                self.let_others_in()

    cdef bint has_lines(self):
        """Whether somebody has still to let go of a line: a claim in flight, a thread that ends its wait, a child."""
        cdef BusHandle handle
        cdef bint has_line
        for handle in self.open_handles():
            with cython.critical_section(handle):           # or the line may be half-way given back
                if isinstance(handle, JournalWriter):
                    has_line = (<JournalWriter> handle).line != NULL
                else:
                    has_line = (<JournalReader> handle).line != &(<JournalReader> handle).own_line
            if has_line:
                return True
        return self.lends_lines()

    cdef int describe(self, object codec) except -1:
        schema_keeper().describe_codec(self, codec)
        return 0

    cdef void forget(self):
        self.keeper = None                                  # its thread is the parent's
        if self.store is not None:
            self.store.close()

    cdef ReaderLine *helper_line(self) except NULL:
        cdef ReaderLine *line = take_reader_line(&self.claims)
        if line == NULL:
            settle_dead(&self.claims, self.store)
            line = take_reader_line(&self.claims)
        if line == NULL:
            raise TooManyHandlesError(f"all {self.claims.control.reader_lines} lines for readers are taken")
        return line

    cdef int reap_all(self) except -1:
        settle_dead(&self.claims, self.store)
        return 0

    cdef BusWriter open_writer(self):
        cdef WriterLine *line = NULL
        cdef BusWriter writer
        with self.lock:
            if self.shared_writer is not None:
                self.check_open()
            line = take_writer_line(&self.claims)
            if line == NULL:
                settle_dead(&self.claims, self.store)
                line = take_writer_line(&self.claims)
            if line == NULL:
                raise TooManyHandlesError(f"all {self.claims.control.writer_lines} lines for writers are taken")
            writer = new_writer(
                self, self.memory, self.store, &self.claims, line, self.fence_after_commit,
                "none" if self.path is None else self.sync_policy,
            )
            self.note_handle(writer)                        # `close` must know of every line
            return writer

    cdef int check_start(self, object start) except -1:
        if isinstance(start, datetime.datetime):
            if start.tzinfo is None:
                raise ValueError(f"start must be an aware datetime, got {start!r}")
            if not self.claims.control.flags & TIMESTAMPS:
                raise ValueError(f"start can be a time only in a journal with timestamps, got {start!r}")
            return 0
        if isinstance(start, str) and start not in ("oldest", "newest"):
            return check_cursor_name(start)
        return check_plain_start(start)

    cdef BusReader open_reader(self, object start, bint gating, object lag_limit):
        cdef JournalReader reader = new_reader(self, self.memory, self.store, &self.claims)
        with self.lock:
            self.check_open()
            reader.line = self.helper_line()
            reader.begin_use()                              # whoever closes the bus meanwhile leaves its line to us
            self.note_handle(reader)                        # `close` must know of every line
        try:
            if not self.begin_work():
                self.check_open()
            try:
                self.place_reader(reader, start, gating, lag_limit)
            finally:
                self.end_work()
        finally:
            with cython.critical_section(reader):
                reader.end_use()
            self.let_others_in()
        return reader

    cdef int place_reader(self, JournalReader reader, object start, bint gating, object lag_limit) except -1:
        cdef str name = None
        if isinstance(start, datetime.datetime):
            return self.place_at_time(reader, timestamp_of(start), gating, lag_limit)
        if isinstance(start, str) and start not in ("oldest", "newest"):
            name, start = start, "oldest"
            if not gating:
                raise ValueError("a named cursor goes with gate=True: retention waits for it")
        if name is None:
            return reader.place(start, gating, lag_limit)
        with self.lock_cursors():
            reader.named = take_cursor(&self.claims, name)
            if reader.named != NULL:
                start = load_acquire(&reader.named.position)
            try:
                reader.place(start, gating, lag_limit)
            except ValueError as error:
                raise CorruptJournalError(f"the cursor {name!r} is damaged: {error}", position=start) from None
            if reader.named == NULL:
                reader.named = add_cursor(&self.claims, name, reader.cursor)
        return 0

    cdef int place_at_time(self, JournalReader reader, int64_t time, bint gating, object lag_limit) except -1:
        cdef uint64_t found
        while True:
            found = self.find_start(time)
            try:
                return reader.place(found, gating, lag_limit)
            except ValueError:
                if found >= load_acquire(&journal_block(self.claims.control).tail):
                    raise
                # else retention took it meanwhile: what is left begins later

    cdef object lock_cursors(self):
        """Held while a cursor is looked for and made, so that no name is made twice; dropped with its holder."""
        return self.lock if self.path is None else locked(os.path.join(self.path, "control"))

    cdef uint64_t find_start(self, int64_t time) except? 0:
        """Position of the first message stamped `time` or later; the head where there is none."""
        cdef JournalReader reader = new_reader(self, self.memory, self.store, &self.claims)
        cdef Slot slot
        cdef uint64_t tail = load_acquire(&journal_block(self.claims.control).tail)
        for base in reversed(self.store.bases()):
            leave_segment(&reader.segment)                  # its looks only go forward
            reader.cursor = reader.next = max(<uint64_t> base, tail)
            if reader.peek(&slot) == BUS_OK and slot.header.timestamp < time or base <= tail:
                break
        with nogil:
            tail = reader.find_time(time)
        return tail

    cdef BusReader open_adopted(self, ReaderLine *line):
        return new_adopted_reader(self, self.memory, self.store, &self.claims, line)

    cdef ReaderLine *lend_line(self, BusReader reader):
        return (<JournalReader> reader).lend_line()

    cdef BusReader open_probe(self):
        return new_reader(self, self.memory, self.store, &self.claims)

    cdef uint64_t load_head(self) noexcept nogil:
        return load_acquire(&self.claims.control.head)

    cdef uint64_t load_gate(self) noexcept nogil:
        return min(gate(&self.claims), lowest_cursor(&self.claims))

    cdef void wake_all(self) noexcept nogil:
        fence_full()
        wake(self.claims.control)


cdef object schema_keeper():
    """The module that knows schemas: of a layer above, so it comes only when the first journal has to be described."""
    return nanobus.journaling
