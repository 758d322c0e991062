"""The loop of one worker.

    turn:   deliver a batch          GIL held: peek, find the row, decode once, call each receiver, advance
            flush the outbox         what the bus had no room for
            write due timers         as messages, so that they have a position and replay
            on_loop hooks
            nothing there? go on     GIL released, see free_loop: skip whatever nobody here listens to, call receivers
                                     that are all native, wait up to the next timer. In a process of its own a worker
                                     whose Python handlers had something to do waits for a moment with the GIL before

A handler that raises is reported with its message and position; the callback decides whether the loop goes on.
"""
import threading

cimport cython
from cpython.object cimport PyObject
from cpython.ref cimport Py_DECREF
from libc.stdint cimport INT64_MAX, UINT64_MAX, int32_t, int64_t, uint8_t, uint32_t, uint64_t

from nanobus.bus.base cimport (
    BUS_CORRUPT, BUS_EMPTY, BUS_FAILED, BUS_LAPPED, BUS_OK, BUS_STOPPED, NO_CAUSE, BusReader, BusStatus, Slot,
    interrupt, was_closed
)
from nanobus.bus.codec cimport Codec, EncodedMessage, release
from nanobus.bus.envelope cimport Gap
from nanobus.bus.refusals cimport checksum_error
from nanobus.core.atomics cimport load_acquire, store_release
from nanobus.core.branches cimport rarely
from nanobus.core.clock cimport monotonic_ns
from nanobus.core.layout cimport TIMER_ID
from nanobus.dispatch.batches cimport Batch
from nanobus.dispatch.division cimport Division
from nanobus.dispatch.free_loop cimport LONGEST_TURN_NS, PYTHON_CALLS, FreeLoop, count, find_own_row, next_look
from nanobus.dispatch.native cimport copy_of
from nanobus.dispatch.outlet cimport Outlet
from nanobus.dispatch.permits cimport native_error, take_refusal
from nanobus.dispatch.router cimport Entry, Router, Row, runs_freely
from nanobus.dispatch.timer cimport Timer

from nanobus.errors import BusClosedError


cdef enum:
    BATCH = 512                         # slots a turn: timers and hooks are looked at in between
    SKIPS_WITH_GIL = 32                 # unrouted slots in a row before the rest is skipped without the GIL
    MOMENT_NS = 1_000                   # an answer from another processor comes sooner


@cython.final
cdef class WorkerLoop(FreeLoop):
    """Reads the bus for the handlers of one worker.

    Parameters
    ----------
    reader : BusReader
        The worker's own.
    outlet : Outlet
        What its handlers send through.
    router : Router
        Its frozen routes.
    timers : sequence of Timer
    turn_hooks : sequence of (int, callable)
        Handler index and `on_loop` of the handlers that have one.
    idle : float
        Seconds: the longest rest of a loop that has turn hooks.
    on_failure : callable
        (handler index or None, message or None, position or None, error) -> True to go on.
    on_gap : callable
        Called with each Gap.
    division : Division, optional
        How messages are divided between shards, of which this loop is one: the outlet says which.

    Notes
    -----
    `run` belongs to one thread; `stop` may be called from any.
    """

    def __cinit__(self, BusReader reader not None, Outlet outlet not None, Router router not None, timers, turn_hooks,
                  double idle, on_failure, on_gap, Division division=None):
        cdef Timer timer
        self.reader = reader
        self.outlet = outlet
        self.router = router
        self.division = division
        self.timers = tuple(timers)
        self.turn_hooks = tuple(turn_hooks)
        self.has_turn_hooks = len(self.turn_hooks) != 0
        self.idle_ns = <int64_t> (idle * 1e9)
        self.on_failure = on_failure
        self.on_gap = on_gap
        self.stop_at = UINT64_MAX
        self.next_due = INT64_MAX
        for timer in self.timers:
            timer.due = monotonic_ns() + timer.period
            self.next_due = min(self.next_due, timer.due)

    def run(self):
        """Handle messages until `stop`, a failure that the callback does not forgive, or the closing of the bus."""
        cdef BusStatus status = BUS_OK
        # The worker of a process of its own has its main thread; beside it one listens to the parent, and sleeps.
        self.alone = threading.current_thread() is threading.main_thread()
        with cython.critical_section(self.reader):
            self.reader.begin_use()
        try:
            while not self.failed and self.reader.cursor < load_acquire(&self.stop_at):
                try:
                    status = self.deliver()
                except BaseException as error:
                    if not self.decoding:
                        raise
                    self.fail_to_decode(error)
                    self.pass_on()
                    status = BUS_OK
                self.check_open()
                if self.outlet.outbox.count:
                    self.outlet.flush()
                if self.outlet.stop_wanted and not self.outlet.outbox.count:
                    self.outlet.stop_wanted = False
                    self.outlet.request_stop()          # now that all it said before is on the bus
                if self.next_due != INT64_MAX and monotonic_ns() >= self.next_due:
                    self.write_due_timers()
                if self.turn_hooks:
                    self.run_turn_hooks()
                if status == BUS_EMPTY and not self.failed:
                    if self.alone and self.answered:    # who wanted the GIL could have it meanwhile
                        self.answered = False
                        if self.waits_a_moment():
                            continue
                    self.begin_native_use()
                    with nogil:
                        status = self.run_freely()
                    self.end_native_use()
                    if status == BUS_LAPPED:            # told once: `deliver` will not hear of it
                        self.tell_gap()
                    self.check_open()
            if self.broken is not None:
                raise self.broken
        finally:
            with cython.critical_section(self.reader):
                self.reader.end_use()

    def stop(self, uint64_t position):
        """Let `run` end once every slot before `position` is handled; 0: after the message at hand."""
        store_release(&self.stop_at, position)
        interrupt(self.reader)

    def flush(self, double timeout):
        """Send what the outbox holds, for at most `timeout` seconds; return how many messages are left in it."""
        cdef int64_t now = monotonic_ns()
        cdef int64_t deadline = now + <int64_t> (timeout * 1e9) if timeout < 9e9 else INT64_MAX
        cdef BusStatus status = BUS_OK
        with cython.critical_section(self.outlet.writer):
            self.outlet.writer.begin_use()
        with nogil:
            while True:
                status = self.outlet.outbox.flush(self.outlet.writer)
                now = monotonic_ns()
                if status == BUS_OK or status == BUS_FAILED or now >= deadline or was_closed(self.outlet.writer):
                    break
                self.outlet.writer.wait(self.outlet.outbox.next_size(), deadline - now)
        with cython.critical_section(self.outlet.writer):
            self.outlet.writer.end_use()
        self.outlet.end_flush(status)
        return self.outlet.outbox.count

    cdef BusStatus deliver(self) except? BUS_OK:
        """Handle a batch; the status that ended it (BUS_EMPTY also where the next ones need no GIL)."""
        cdef Slot slot
        cdef Row *row
        cdef BusStatus status
        cdef uint32_t skips = 0, calls = 0, look = 1
        cdef int64_t until = 0          # when a turn is long enough; 0: not looked at the clock yet
        if self.is_slow:
            until = monotonic_ns() + LONGEST_TURN_NS
        for _ in range(BATCH):
            if self.reader.cursor >= load_acquire(&self.stop_at):
                return BUS_STOPPED
            status = self.reader.peek(&slot)
            if status != BUS_OK:
                if calls and self.is_slow:
                    self.is_slow = monotonic_ns() >= until
                if status == BUS_LAPPED:
                    self.tell_gap()
                elif status == BUS_CORRUPT:
                    self.forget_ticks()
                    self.fail(None, None, slot.position, checksum_error(slot.position))
                    self.pass_on()
                elif status == BUS_FAILED:
                    self.reader.raise_failure()
                return status
            row = find_own_row(self, &slot)
            if row != NULL:
                if rarely(not row.is_plain) and runs_freely(row, slot.position, slot.header.size):
                    self.answered = False               # no answer is to be waited for: there is something to do
                    return BUS_EMPTY
                if rarely(calls == look):
                    look = next_look(calls, PYTHON_CALLS)
                    if until == 0:
                        until = monotonic_ns() + LONGEST_TURN_NS
                    elif monotonic_ns() >= until:
                        self.is_slow = True             # from now on the first call of a turn counts, too
                        return BUS_OK
                skips = 0
                calls += 1
                if rarely(not row.is_plain):
                    if row.batch != NULL and not row.asks and slot.position >= row.since:
                        self.deliver_batch(row, &slot)
                        return BUS_OK                   # that was a turn
                    self.dispatch(row, &slot)
                else:
                    self.call_receivers(row, &slot, NULL)
            elif slot.header.message == TIMER_ID:
                self.tick(&slot)
            else:
                count(&self.messages_skipped)
                skips += 1
                if skips > SKIPS_WITH_GIL:
                    self.reader.advance()
                    return BUS_EMPTY
            if self.failed:
                return BUS_OK
            self.reader.advance()
        self.is_slow = False
        return BUS_OK

    cdef int check_open(self) except -1:
        """Raise if the bus was closed, whatever is left to read there."""
        if was_closed(self.reader) and not self.failed:
            raise BusClosedError("the bus of this worker is closed")
        return 0

    cdef void pass_on(self) noexcept:
        """Leave the message at hand, unless it ended the worker: one that resumes at its cursor begins with it."""
        if not self.failed:
            self.reader.advance()

    cdef int deliver_batch(self, Row *row, Slot *slot) except -1:
        """Handle a message of a batch handler, and what follows it of the same kind."""
        cdef Batch batch = <Batch> row.batch
        cdef Entry *entry = &self.router.entries[row.first]
        cdef uint64_t first = slot.position
        cdef BusStatus status
        if slot.header.size != batch.size:
            self.dispatch(row, slot)                    # which says what is wrong, or at least counts it
            self.pass_on()
            return 0
        status = self.gather(batch, row, slot)
        self.answered = True
        try:
            batch.hand_over()
        except BaseException as error:
            self.fail(entry.handler, None, first, error)
        self.end_claim(entry.handler, None, first)
        self.reader.holds = False
        if not self.failed:
            self.reader.publish()
        if status == BUS_LAPPED:                        # told once: the next look will not hear of it
            self.tell_gap()
        return 0

    cdef int dispatch(self, Row *row, Slot *slot) except -1:
        if row.asks:
            return self.ask_and_dispatch(row, slot)
        if runs_freely(row, slot.position, slot.header.size):
            count(&self.messages_handled)
            self.begin_native_use()
            self.call_natives(row, slot)
            self.end_native_use()
            return 0
        return self.call_receivers(row, slot, NULL)

    cdef int ask_and_dispatch(self, Row *row, Slot *slot) except -1:
        """Decode a message to see whose it is, and let that of another shard go."""
        cdef bint decoded = False
        cdef bint fits = False
        cdef bint ours
        message = None
        self.outlet.position = slot.position
        self.outlet.timestamp = slot.header.timestamp
        try:
            message = (<Codec> row.codec).decode(slot.payload, slot.header.size)
            decoded = True
            ours = fits = self.division.shard_of_message(message) == self.outlet.shard
        except BaseException as error:
            ours = self.division.has_to_tell(self.outlet.shard, slot.position, error)
            if ours:
                self.fail(None, message, slot.position, error)
        if fits:
            return self.call_receivers(row, slot, <PyObject *> message)
        count(&self.messages_handled if ours else &self.messages_skipped)
        if decoded:
            (<Codec> row.codec).settle(message)
        self.outlet.position = NO_CAUSE
        self.outlet.timestamp = 0
        return 0

    cdef int call_receivers(self, Row *row, Slot *slot, PyObject *message) except -1:
        """Call each receiver of a message, which is NULL where nobody had to look into it before."""
        cdef Entry *entry = &self.router.entries[row.first]
        cdef Entry *end = entry + row.count
        cdef PyObject *result
        count(&self.messages_handled)
        self.answered = True
        if message == NULL:
            self.outlet.position = slot.position
            self.outlet.timestamp = slot.header.timestamp
            self.decoding = True                        # an error from here on is caught in `run`, once a batch
            decoded = (<Codec> row.codec).decode(slot.payload, slot.header.size)
            self.decoding = False
            message = <PyObject *> decoded              # of which there is one reference, as `settle` expects
        while entry != end and not self.failed:
            if rarely(entry.native != NULL):
                self.call_native_among(row, entry, <object> message, slot)
                entry += 1
                continue
            result = entry.call(entry, message)
            if result != NULL:
                Py_DECREF(<object> result)
            if rarely(result == NULL or self.outlet.claimed is not None):
                self.end_badly(entry, <object> message, slot.position, result == NULL)
            entry += 1
        (<Codec> row.codec).settle(<object> message)
        self.outlet.position = NO_CAUSE
        self.outlet.timestamp = 0
        return 0

    cdef int call_native_among(self, Row *row, Entry *entry, object message, Slot *slot) except -1:
        """Call a native receiver of a message that is decoded, with the GIL held."""
        cdef EncodedMessage encoded
        self.begin_native_use()
        try:
            if slot.position >= row.since:
                self.call_native(row, entry, slot, slot.payload, slot.header.size)
                return 0
            (<Codec> row.codec).encode(message, &encoded)
            self.call_native(row, entry, slot, encoded.payload, <uint32_t> encoded.size)
            release(&encoded)
        except BaseException as error:
            self.fail(entry.handler, message, slot.position, error)
        finally:
            self.end_native_use()
        return 0

    cdef int begin_native_use(self) except -1:
        """Native handlers may send without the GIL: nobody frees the writer's line meanwhile."""
        if self.router.has_natives:
            with cython.critical_section(self.outlet.writer):
                self.outlet.writer.begin_use()
        return 0

    cdef int end_native_use(self) except -1:
        if self.router.has_natives:
            with cython.critical_section(self.outlet.writer):
                self.outlet.writer.end_use()
        return 0

    cdef void end_badly_natively(self, Row *row, Entry *entry, Slot *slot, int32_t result) noexcept:
        message = None
        try:
            refusal = take_refusal(entry.grant)
            if result != 0 or refusal is not None and not isinstance(refusal, Exception):
                message = copy_of(<Codec> row.codec, slot.payload, slot.header.size)
                self.fail(entry.handler, message, slot.position, native_error(result, refusal))
            self.end_claim(entry.handler, message, slot.position)
        except BaseException as error:                  # nobody to raise it to
            self.broken = error
            self.failed = True

    cdef int end_badly(self, Entry *entry, object message, uint64_t position, bint raised) except -1:
        """A call raised, or left a claim open."""
        if raised:
            try:
                raise_what_is_set()
            except BaseException as error:
                self.fail(entry.handler, message, position, error)
        self.end_claim(entry.handler, message, position)
        return 0

    cdef int fail(self, object handler, object message, object position, error) except -1:
        """Tell of an error, and of the claim that was left open: that one ends first, as everybody waits for it."""
        open_claim = self.outlet.abort_open_claim()
        self.tell(handler, message, position, error)
        if open_claim is not None:
            self.tell(handler, message, position, open_claim)
        return 0

    cdef int end_claim(self, object handler, object message, object position) except -1:
        """Abort the claim a handler left open, if it did."""
        error = self.outlet.abort_open_claim()
        if error is not None:
            self.tell(handler, message, position, error)
        return 0

    cdef int tell(self, object handler, object message, object position, error) except -1:
        cdef bint goes_on = False
        self.failures += 1
        try:
            goes_on = self.on_failure(handler, message, position, error)
        except BaseException as second:         # must not pass `call_receivers`, which has a message to take back
            self.broken = second
        if not goes_on:
            self.failed = True
        return 0

    cdef int tell_gap(self) except -1:
        self.forget_ticks()
        self.on_gap(Gap(self.reader.lost_from, self.reader.cursor))
        return 0

    cdef void forget_ticks(self):
        """Lost messages may have been ticks: send them anew."""
        cdef Timer timer
        for timer in self.timers:
            timer.under_way = False

    cdef int fail_to_decode(self, error) except -1:
        self.decoding = False
        self.fail(None, None, self.outlet.position, error)
        self.outlet.position = NO_CAUSE
        self.outlet.timestamp = 0
        return 0

    cdef int hand(self, Slot *slot) except -1:
        """Deliver a slot that somebody else has read, if it is for anybody here."""
        cdef Row *row = find_own_row(self, slot)
        if row == NULL:
            if slot.header.message == TIMER_ID:
                self.tick(slot)
            return 0
        try:
            self.dispatch(row, slot)
        except BaseException as error:
            if not self.decoding:
                raise
            self.fail_to_decode(error)
        return 0

    cdef int tick(self, Slot *slot) except -1:
        """Call the timer that the slot is a tick of, if it is one of ours."""
        cdef Timer timer
        for timer in self.timers:
            if timer.wrote(slot):
                timer.under_way = False
                count(&self.messages_handled)
                self.answered = True
                self.outlet.position = slot.position
                self.outlet.timestamp = slot.header.timestamp
                try:
                    timer.method()
                except BaseException as error:
                    self.fail(timer.handler, None, slot.position, error)
                self.end_claim(timer.handler, None, slot.position)
                self.outlet.position = NO_CAUSE
                self.outlet.timestamp = 0
                return 0
        count(&self.messages_skipped)
        return 0

    cdef int write_due_timers(self) except -1:
        cdef Timer timer
        cdef int64_t now = monotonic_ns()
        self.next_due = INT64_MAX
        for timer in self.timers:
            if timer.due <= now:
                timer.due += timer.period * ((now - timer.due) // timer.period + 1)
                if not timer.under_way:
                    try:
                        self.outlet.put(timer.source, TIMER_ID, <const uint8_t *> timer.tick, timer.tick_size)
                        timer.under_way = True
                    except Exception as error:
                        self.fail(timer.handler, None, None, error)
            self.next_due = min(self.next_due, timer.due)
        return 0

    cdef int run_turn_hooks(self) except -1:
        self.outlet.timestamp = 0
        for handler, hook in self.turn_hooks:
            if not self.failed:
                try:
                    hook()
                except BaseException as error:
                    self.fail(handler, None, None, error)
                self.end_claim(handler, None, None)
        return 0

    cdef bint waits_a_moment(self) noexcept:
        """Whether the next slot comes so soon that releasing the GIL, and taking it again, would take longer.

        `run_freely` does the rest: an interruption that ends this wait is found in what caused it, and nothing
        that lies unread for a moment is lost.
        """
        return not self.outlet.outbox.count and self.reader.wait(MOMENT_NS) == BUS_OK


cdef int raise_what_is_set() except -1:
    """Hand the error that a C call has set to the caller's `except`."""
    return -1
