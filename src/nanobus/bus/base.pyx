"""What every bus shows to Python: Bus, BusReader, BusWriter. The contract for nogil code is base.pxd.

The methods here check, call the contract once, and translate its status once. A bus overrides the `cdef` methods.
"""
import threading
import weakref

cimport cython
from cpython.buffer cimport PyBUF_SIMPLE, Py_buffer, PyBuffer_Release, PyObject_GetBuffer
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_CheckExact, PyBytes_GET_SIZE
from cpython.exc cimport PyErr_CheckSignals
from libc.stdint cimport INT64_MAX, UINT32_MAX, UINT64_MAX, int64_t, uint8_t, uint16_t, uint32_t, uint64_t
from libc.string cimport memcpy

from nanobus.bus.codec cimport message_id_of, source_id_of
from nanobus.bus.envelope cimport Gap, cause_of, envelope_of
from nanobus.bus.references cimport referring_to, still_alive
from nanobus.bus.refusals cimport check_lag_limit, check_plain_start, checksum_error, fill_of, raise_too_large
from nanobus.bus.waiting cimport SIGNAL_CHECK_NS, deadline_after, nanoseconds
from nanobus.core.atomics cimport store_release_32
from nanobus.core.clock cimport monotonic_ns
from nanobus.core.layout cimport relative_cause, slot_length

from nanobus.errors import BusClosedError, BusFullError, HandleInUseError, NanobusError

cdef object FROM_A_BUS = object()
cdef str CONTRACT_ONLY = "Bus is the contract: use a bus that fulfils it, such as CircularBus"
cdef object open_buses = weakref.WeakSet()


cdef class BusHandle:
    """What readers and writers have in common. They are made by a bus."""

    def __cinit__(self, origin=None):
        if origin is not FROM_A_BUS:
            raise TypeError(f"a {type(self).__qualname__} comes from a bus, it cannot be made")

    @cython.critical_section
    def close(self):
        """Let go of the bus: nobody waits for this handle any more. Thread-safe; a call that waits in another thread
        ends with BusClosedError."""
        if not self.closed:
            store_release_32(<uint32_t *> &self.closed, True)       # `was_closed` acquires it
            if self.busy:
                interrupt(self)                 # the waiting thread frees the line on its way out
            else:
                self.close_line()

    cdef void begin_use(self) noexcept:
        self.busy += 1

    cdef void end_use(self):
        if self.busy:                           # else a fork has let go of everything meanwhile
            self.busy -= 1
        if self.closed and not self.busy:
            self.close_line()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    cdef void close_line(self):
        pass

    cdef void forget_line(self):
        pass

    cdef int raise_failure(self) except -1:
        raise NanobusError(f"{self.bus!r} failed and does not say why")


cdef class BusWriter(BusHandle):
    """A writer: one claim at a time, by one thread at a time.

    Made by `Bus.writer()`. Closing it, or dropping the last reference, frees its line in the bus.
    """

    @cython.critical_section
    def write(self, source, message_id, payload, *, cause=None, timeout=None):
        """Append one message.

        Parameters
        ----------
        source : int, IntEnum member or Handler class
            Id of the sender, 0 to 0xFEFF.
        message_id : int or IntEnum member
            0 to 0xFEFF.
        payload : bytes-like
            Contiguous; copied.
        cause : int, optional
            Position of the message that made the caller write this one.
        timeout : float, optional
            Seconds to wait for room; None waits for ever. Not used with `overflow="error"`.

        Returns
        -------
        int
            Position of the message.

        Raises
        ------
        BusFullError
            No room: at once, or within the timeout.
        MessageTooLargeError
            The payload is larger than `bus.max_payload`.
        HandleInUseError
            Another thread waits in this writer.
        BusClosedError
            The writer or its bus is closed, or was while this call waited.
        """
        return self.put(source, message_id, payload, cause, timeout)

    cdef object put(self, object source, object message_id, object payload, object cause, object timeout):
        cdef uint16_t source_id = source_id_of(source)
        cdef uint16_t id_ = message_id_of(message_id)
        cdef uint64_t cause_position = NO_CAUSE if cause is None else cause_of(cause)
        cdef uint64_t position = 0
        cdef Py_buffer buffer
        if PyBytes_CheckExact(payload):
            self.append(source_id, id_, cause_position, <const uint8_t *> PyBytes_AS_STRING(payload),
                        PyBytes_GET_SIZE(payload), timeout, &position)
            return position
        PyObject_GetBuffer(payload, &buffer, PyBUF_SIMPLE)
        try:
            self.append(source_id, id_, cause_position, <const uint8_t *> buffer.buf, buffer.len, timeout, &position)
        finally:
            PyBuffer_Release(&buffer)
        return position

    cdef int append(self, uint16_t source, uint16_t message, uint64_t cause, const uint8_t *payload,
                    Py_ssize_t size, object timeout, uint64_t *position) except -1:
        cdef Slot slot
        if size > UINT32_MAX:
            raise_too_large(self.bus.max_payload, size)
        self.claim_or_raise(<uint32_t> size, &slot, timeout)
        slot.header.source = source
        slot.header.message = message
        slot.header.cause = relative_cause(slot.position, cause)
        memcpy(slot.payload, payload, size)
        position[0] = slot.position
        self.commit_and_ensure(&slot)
        return 0

    cdef int commit_and_ensure(self, Slot *slot) except -1:
        cdef uint64_t end = slot.position + slot_length(slot.header.size)
        self.commit(slot)
        if self.ensures:
            self.ensure(end)
        return 0

    cdef int claim_or_raise(self, uint32_t size, Slot *slot, object timeout) except -1:
        cdef BusStatus status
        cdef int64_t deadline = -1, left
        while True:
            if self.busy:                       # anew after whatever may run Python: __float__, a signal handler
                raise HandleInUseError("a writer serves one thread at a time, and another thread waits in this one")
            status = self.claim(size, slot)
            if status == BUS_OK:
                return 0
            if status == BUS_TOO_LARGE:
                raise_too_large(self.bus.max_payload, size)
            if status == BUS_CLAIMED:
                raise NanobusError("a writer holds one claim at a time: leave the `with claim()` block first")
            if status == BUS_STOPPED or self.closed:
                raise BusClosedError("the writer is closed")
            if status == BUS_FAILED:
                self.raise_failure()
            if not self.bus.waits_for_room():
                raise BusFullError(f"no room for {size} bytes: {fill_of(self.bus.load_head(), self.bus.load_gate())}")
            if deadline < 0:
                deadline = deadline_after(nanoseconds(timeout))
                if self.busy or self.closed:    # `__float__` let another thread in
                    continue
            left = min(deadline - monotonic_ns(), <int64_t> SIGNAL_CHECK_NS)
            if left <= 0:
                fill = fill_of(self.bus.load_head(), self.bus.load_gate())
                raise BusFullError(f"no room for {size} bytes within {timeout} s: {fill}")
            self.begin_use()
            with nogil:
                self.wait(size, left)
            self.end_use()
            if not self.closed:                 # else the next claim says BUS_STOPPED
                PyErr_CheckSignals()

    cdef int ensure(self, uint64_t end) except -1:
        return 0

    cdef BusStatus claim(self, uint32_t size, Slot *slot) noexcept nogil:
        return BUS_STOPPED

    cdef void commit(self, Slot *slot) noexcept nogil:
        pass

    cdef void abort(self, Slot *slot) noexcept nogil:
        pass

    cdef void commit_batch(self, Slot *slot, uint32_t count, uint32_t size) noexcept nogil:
        self.abort(slot)

    cdef BusStatus wait(self, uint32_t size, int64_t timeout_ns) noexcept nogil:
        return BUS_STOPPED


cdef class BusReader(BusHandle):
    """A reader: its own cursor over the bus, for one thread at a time.

    Made by `Bus.reader()`. Iterating waits for messages until the reader or its bus is closed. Closing it, or dropping
    the last reference, lets writers pass it.
    """

    @property
    def position(self):
        """Position of the next message this reader would see."""
        return self.cursor

    @property
    def lag(self):
        """Bytes between this reader and the head."""
        cdef uint64_t head = self.bus.load_head()
        return head - self.cursor if head > self.cursor else 0

    @cython.critical_section
    def read(self, timeout=None):
        """Return the next message, or None if there is none within `timeout`.

        Parameters
        ----------
        timeout : float, optional
            Seconds; None waits for ever, 0 only looks.

        Returns
        -------
        Envelope, Gap or None
            A Gap where writers overtook this reader; the next call goes on behind it.

        Raises
        ------
        BusClosedError
            The reader or its bus is closed, or was while this call waited.
        CorruptMessageError
            The checksum of the next message does not fit; the next call goes on behind it.
        HandleInUseError
            Another thread waits in this reader.
        """
        return self.take(nanoseconds(timeout))

    def __iter__(self):
        return self

    @cython.critical_section
    def __next__(self):
        try:
            return self.take(INT64_MAX)
        except BusClosedError:
            raise StopIteration from None

    cdef object take(self, int64_t timeout_ns):
        cdef Slot slot
        cdef BusStatus status
        cdef int64_t deadline = INT64_MAX
        if self.busy:
            raise HandleInUseError("a reader serves one thread at a time, and another thread waits in this one")
        if timeout_ns:
            deadline = deadline_after(timeout_ns)
        while True:
            status = self.peek(&slot)
            if status == BUS_OK:
                envelope = envelope_of(slot.position, slot.header, slot.payload)
                self.advance()
                return envelope
            if status == BUS_EMPTY:
                if timeout_ns == 0:
                    return None
                status = self.wait_or_raise(timeout_ns)
                if status == BUS_EMPTY:
                    return None
                if deadline != INT64_MAX:       # padding may have ended the wait: what is left is for the next one
                    timeout_ns = max(deadline - monotonic_ns(), <int64_t> 0)
            if status == BUS_LAPPED:
                return Gap(self.lost_from, self.cursor)
            if status == BUS_CORRUPT:
                self.advance()
                raise checksum_error(slot.position)
            if status == BUS_STOPPED:
                raise BusClosedError("the reader is closed")
            if status == BUS_FAILED:
                self.raise_failure()

    cdef BusStatus wait_or_raise(self, int64_t timeout_ns) except? BUS_OK:
        cdef int64_t deadline = deadline_after(timeout_ns)
        cdef BusStatus status = BUS_EMPTY
        self.begin_use()
        try:
            while status == BUS_EMPTY and not self.closed:
                timeout_ns = min(deadline - monotonic_ns(), <int64_t> SIGNAL_CHECK_NS)
                if timeout_ns <= 0:
                    break
                with nogil:
                    status = self.wait(timeout_ns)
                PyErr_CheckSignals()
        finally:
            self.end_use()
        return BUS_STOPPED if self.closed else status

    cdef BusStatus peek(self, Slot *slot) noexcept nogil:
        return BUS_STOPPED

    cdef void advance(self) noexcept nogil:
        pass

    cdef void publish(self) noexcept nogil:
        pass

    cdef BusStatus wait(self, int64_t timeout_ns) noexcept nogil:
        return BUS_STOPPED

    cdef BusStatus look_at(self, uint64_t position, Slot *slot) noexcept nogil:
        return BUS_STOPPED


cdef class Bus:
    """The totally ordered log all workers share. Use a subclass, such as CircularBus.

    Every method may be called from any thread. `with bus:` closes it at the end.
    """

    def __cinit__(self):
        self.handles = ()
        open_buses.add(self)
        self.lock = threading.RLock()    # a signal handler may close the bus while its thread holds it
        self.closed = True              # until a subclass has a log to show

    @property
    def head(self):
        """Position at which the next message will be claimed."""
        self.check_open()
        return self.load_head()

    def write(self, source, message_id, payload, *, cause=None, timeout=None):
        """Append one message; see `BusWriter.write`. Safe from any thread.

        All threads share one writer. While that one waits for room in another thread, whichever line is free is used.
        """
        self.check_open()
        cdef BusWriter shared = self.shared_writer
        with cython.critical_section(shared):
            if not shared.busy:
                return shared.put(source, message_id, payload, cause, timeout)
        from nanobus.bus.queueing import write_in_turn
        return write_in_turn(self, source, message_id, payload, cause, timeout)

    @cython.critical_section
    def read(self, position):
        """Return the message that starts at `position`, or None.

        None: nothing was committed there, an aborted claim lies there, it is the middle of a message, or its bytes were
        overwritten since.

        Raises
        ------
        CorruptMessageError
            The checksum does not fit.
        """
        cdef Slot slot
        cdef BusStatus status
        self.check_open()
        if not isinstance(position, int) or not 0 <= position <= UINT64_MAX:
            raise ValueError(f"position must be an int in 0..2**64 - 1, got {position!r}")
        status = self.probe.look_at(position, &slot)
        if status == BUS_OK:
            return envelope_of(slot.position, slot.header, slot.payload)
        if status == BUS_CORRUPT:
            raise checksum_error(position)
        if status == BUS_FAILED:
            self.probe.raise_failure()
        return None

    def reader(self, start="oldest", *, gate=True, lag_limit=None):
        """Open a reader.

        Parameters
        ----------
        start : "oldest", "newest" or int
            Where to begin: the oldest message that is certainly kept, behind the newest, or the position of a message.
            A journal takes a time, too, and the name of a cursor: it goes on where the last reader of that name was,
            and a new one begins with the oldest message.
        gate : bool
            Whether writers wait for this reader. With False it only observes and may be told of a Gap.
        lag_limit : int, optional
            Bytes. A gating reader that lags more is detached: it goes on as an observer.

        Raises
        ------
        ValueError
            `start` is no message's position.
        TooManyHandlesError
            Every line for readers is taken.
        """
        self.check_open()
        self.check_start(start)
        check_lag_limit(lag_limit, gate)
        return self.keep(self.open_reader(start, gate, lag_limit))

    def writer(self):
        """Open a writer: a claim of its own, for one thread.

        Raises
        ------
        TooManyHandlesError
            Every line for writers is taken.
        """
        self.check_open()
        return self.keep(self.open_writer())

    def sender(self, source):
        """Open a Sender of messages from `source`, a Handler class or a source id, outside any handler."""
        from nanobus.bus.sender import Sender
        return Sender(self, source)

    def statistics(self):
        """Return a BusStatistics: a moment's look at the counters of the bus.

        Works while others write, and after they died; the numbers are not of one instant.
        """
        raise NanobusError(CONTRACT_ONLY)

    def close(self):
        """Close every handle of this object. Whoever waits on the bus here ends with BusClosedError.

        The memory goes when the last handle does. Other processes, and other Bus objects on the same file, go on.
        """
        with self.lock:
            self.closed = True
        for handle in self.open_handles():
            handle.close()

    def __enter__(self):
        return self

    def __exit__(self, *exception):
        self.close()

    cdef object keep(self, handle):
        try:
            self.note_handle(handle)
            self.check_open()                   # again: another thread may have closed it meanwhile
        except BaseException:                   # the traceback may keep the handle for a while
            handle.close()
            raise
        return handle

    cdef int note_handle(self, handle) except -1:
        with self.lock:
            self.handles = referring_to(self.handles, handle)
        return 0

    cdef list open_handles(self):
        with self.lock:
            return still_alive(self.handles)

    cdef int check_open(self) except -1:
        if self.closed:
            raise BusClosedError("the bus is closed")
        return 0

    cdef int check_start(self, object start) except -1:
        return check_plain_start(start)

    cdef int describe(self, object codec) except -1:
        return 0

    cdef void forget(self):
        pass

    cdef int let_others_in(self) except -1:
        return 0

    cdef BusWriter open_writer(self):
        raise NanobusError(CONTRACT_ONLY)

    cdef BusReader open_reader(self, object start, bint gate, object lag_limit):
        raise NanobusError(CONTRACT_ONLY)

    cdef BusReader open_probe(self):
        raise NanobusError(CONTRACT_ONLY)

    cdef uint64_t load_head(self) noexcept nogil:
        return 0

    cdef uint64_t load_gate(self) noexcept nogil:
        return 0

    cdef void wake_all(self) noexcept nogil:
        pass

    cdef bint waits_for_room(self) noexcept nogil:
        return True
