"""The half of a worker's loop that runs without the GIL.

    nothing there?        wait, up to the next timer, or until there is another duty
    no receiver here      skip
    native receivers      call them, one after the other, advance
    anything else         back to the other half: Python receivers, ticks, errors, an outbox to flush, hooks

It looks at the clock, and whether anybody wants something of the other half, behind some calls: see `next_look`.
"""
from libc.stdint cimport INT64_MAX, UINT64_MAX, int32_t, int64_t, uint32_t, uint64_t

from nanobus.bus.base cimport BUS_EMPTY, BUS_OK, BUS_STOPPED, NO_CAUSE, BusStatus, Slot, was_closed
from nanobus.core.atomics cimport load_acquire, load_relaxed
from nanobus.core.branches cimport rarely
from nanobus.core.clock cimport monotonic_ns
from nanobus.core.layout cimport SLOT_ALIGNMENT, TIMER_ID
from nanobus.dispatch.batches cimport Batch
from nanobus.dispatch.native cimport NativeMessage
from nanobus.dispatch.router cimport Entry, Row, runs_freely


cdef enum:
    BATCH = 512                         # slots that nobody receives, between looks at the clock; calls between hooks
    LONGEST_RUN_NS = 50_000_000         # without the GIL while there are messages: signals wait for it
    OUTBOX_RETRY_NS = 200_000           # rest while messages wait for room in the bus


cdef class FreeLoop:
    """What a WorkerLoop does without the GIL: it waits, skips, and calls native receivers.

    Notes
    -----
    For one thread, which has the reader and the writer of the outlet in use.
    """

    @property
    def handled(self):
        """Messages that had a receiver here, so far. Any thread may ask."""
        return load_relaxed(&self.messages_handled)

    @property
    def skipped(self):
        """Messages that had no receiver here, or were another shard's, so far. Any thread may ask."""
        return load_relaxed(&self.messages_skipped)

    cdef BusStatus run_freely(self) noexcept nogil:
        cdef Slot slot
        cdef Row *row
        cdef BusStatus status
        cdef int64_t rest
        cdef int64_t begun = 0          # 0: the clock was not looked at yet
        cdef int64_t until = INT64_MAX
        cdef uint32_t skips = 0, calls = 0, look = 1
        if self.has_turn_hooks:
            begun = monotonic_ns()
            until = begun + self.idle_ns
        while self.reader.cursor < load_acquire(&self.stop_at):
            status = self.reader.peek(&slot)
            if status == BUS_EMPTY:
                if calls and (self.has_turn_hooks or self.outlet.stop_wanted or self.outlet.outbox.count):
                    return BUS_OK
                rest = self.rest_ns(until)
                if rest <= 0:
                    return BUS_EMPTY
                status = self.reader.wait(rest)
                if status != BUS_OK or self.outlet.outbox.count:
                    return status
                calls, look = 0, 1                          # what was fast before may be slow from here on
                continue
            if status != BUS_OK or slot.header.message == TIMER_ID:
                return status
            row = find_own_row(self, &slot)
            if row == NULL:
                count(&self.messages_skipped)
                skips += 1
                if rarely(skips % BATCH == 0) and self.is_over(&begun, CALLS):
                    return BUS_OK
            elif runs_freely(row, slot.position, slot.header.size):
                if rarely(calls == look):
                    look = next_look(calls, CALLS)
                    if self.is_over(&begun, calls):
                        return BUS_OK
                calls += 1
                count(&self.messages_handled)
                self.call_natives(row, &slot)
                if rarely(self.failed):
                    return BUS_OK
            else:
                return BUS_OK
            self.reader.advance()
        return BUS_STOPPED

    cdef bint is_over(self, int64_t *begun, uint32_t calls) noexcept nogil:
        cdef int64_t now = monotonic_ns()
        cdef bint holds = self.outlet.outbox.count or self.outlet.stop_wanted
        if begun[0] == 0:
            begun[0] = now
        if was_closed(self.reader) or now >= min(self.next_due, begun[0] + LONGEST_RUN_NS):
            return True
        if now >= begun[0] + LONGEST_TURN_NS:
            return holds or self.has_turn_hooks
        return holds and calls >= CALLS or self.has_turn_hooks and calls >= BATCH

    cdef void call_natives(self, Row *row, Slot *slot) noexcept nogil:
        """Call every receiver of a row that has none but native ones."""
        cdef Entry *entry = &self.router.entries[row.first]
        cdef Entry *end = entry + row.count
        cdef NativeMessage message
        tell_of(slot, slot.header.size, &message)
        self.outlet.position = slot.position
        self.outlet.timestamp = slot.header.timestamp
        while True:
            self.call(row, entry, slot, &message, slot.payload)
            entry += 1
            if entry == end or rarely(self.failed):
                break
        self.outlet.position = NO_CAUSE
        self.outlet.timestamp = 0

    cdef void call_native(
        self, Row *row, Entry *entry, Slot *slot, const void *payload, uint32_t size
    ) noexcept nogil:
        cdef NativeMessage message
        tell_of(slot, size, &message)
        self.call(row, entry, slot, &message, payload)

    cdef inline void call(
        self, Row *row, Entry *entry, Slot *slot, const NativeMessage *message, const void *payload
    ) noexcept nogil:
        cdef int32_t result = entry.native(message, payload, entry.outlet, entry.state)
        if rarely(result != 0 or entry.grant.refusal != NULL or self.outlet.claimed is not None):
            self.end_badly_with_gil(row, entry, slot, result)

    cdef void end_badly_with_gil(self, Row *row, Entry *entry, Slot *slot, int32_t result) noexcept nogil:
        with gil:
            self.end_badly_natively(row, entry, slot, result)

    cdef void end_badly_natively(self, Row *row, Entry *entry, Slot *slot, int32_t result) noexcept:
        self.failed = True

    cdef BusStatus gather(self, Batch batch, Row *row, Slot *slot) noexcept nogil:
        cdef BusStatus status
        cdef Row *found = row
        cdef uint32_t skips = 0
        batch.count = 0
        self.reader.holds = True
        while True:
            if found == row:
                batch.add(slot)
                count(&self.messages_handled)
            else:
                skips += 1
                count(&self.messages_skipped)
            self.reader.advance()
            if batch.count == batch.limit or skips == BATCH or self.reader.cursor >= load_acquire(&self.stop_at):
                return BUS_OK
            status = self.reader.peek(slot)
            if status != BUS_OK:
                return status
            found = find_own_row(self, slot)
            if slot.header.message == TIMER_ID or (slot.header.size != batch.size if found == row else found != NULL):
                return BUS_OK

    cdef int64_t rest_ns(self, int64_t until) noexcept nogil:
        cdef int64_t rest = INT64_MAX
        until = min(until, self.next_due)
        if until != INT64_MAX:
            rest = until - monotonic_ns()
        if self.outlet.outbox.count:
            rest = min(rest, OUTBOX_RETRY_NS)
        return rest


cdef inline void tell_of(const Slot *slot, uint32_t size, NativeMessage *message) noexcept nogil:
    message.position = slot.position
    message.cause = UINT64_MAX
    if slot.header.cause:
        message.cause = slot.position - <uint64_t> slot.header.cause * SLOT_ALIGNMENT
    message.timestamp = slot.header.timestamp
    message.size = size
    message.source = slot.header.source
    message.message_id = slot.header.message
