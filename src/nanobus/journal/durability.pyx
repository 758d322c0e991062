"""Group commit; the protocol is told in durability.pxd."""
import os

from libc.errno cimport ENOENT
from libc.stdint cimport INT64_MAX, int64_t, uint64_t

from nanobus.bus.claims cimport SETTLE_AFTER_NS, Claims, frontier, settle
from nanobus.bus.control cimport WRITERS_PARKED
from nanobus.bus.waiting cimport STALL_RECHECK_NS, Wait, begin, pause, wake
from nanobus.core.atomics cimport fence_full, load_acquire, load_relaxed_32, store_release, swap_if_equal
from nanobus.core.clock cimport monotonic_ns
from nanobus.core.owner cimport owner_alive
from nanobus.journal.layout cimport JournalBlock, journal_block
from nanobus.journal.seeking cimport Seeker, begin_seeking, end_seeking
from nanobus.journal.store cimport SegmentStore

from nanobus.errors import MappingError


cdef int ensure_durable(const Claims *claims, SegmentStore store, uint64_t end, uint64_t *sealing) except -1:
    cdef int error
    with nogil:
        error = wait_until_durable(claims, store, end, sealing)
    if error:
        raise MappingError(
            error, f"the disk refused to keep what was written ({os.strerror(error)}): "
            f"{load_acquire(&journal_block(claims.control).durable)} bytes are safe, the rest is only in memory",
            store.path,
        )
    return 0


cdef int wait_until_durable(const Claims *claims, SegmentStore store, uint64_t end, uint64_t *sealing) noexcept nogil:
    cdef JournalBlock *block = journal_block(claims.control)
    cdef uint64_t stalled_at = 0, reached
    cdef int64_t stalled_since = 0, now
    cdef Claims own
    cdef Seeker seeker
    cdef Wait waiting
    cdef int error = 0
    begin_seeking(&seeker, &own, claims, store)
    begin(&waiting, claims.control, WRITERS_PARKED, INT64_MAX)
    waiting.longest_sleep = STALL_RECHECK_NS
    while not error and load_acquire(&block.durable) < end:
        error = sync_once(&own, store)
        if error or load_acquire(&block.durable) >= end:
            break
        reached = frontier(&own)
        if reached < end:                                   # somebody's claim is in flight
            now = monotonic_ns()
            if stalled_at != reached or stalled_since == 0:
                stalled_at = reached
                stalled_since = now
            elif now - stalled_since > SETTLE_AFTER_NS:
                settle(&own, reached, sealing)
                stalled_since = now
        pause(&waiting)
    end_seeking(&seeker)
    return error


cdef int sync_once(Claims *claims, SegmentStore store) noexcept nogil:
    cdef JournalBlock *block = journal_block(claims.control)
    cdef uint64_t holder = 0, begun, reached
    cdef int error
    if load_acquire(&block.sync_error):
        return <int> load_acquire(&block.sync_error)
    if not swap_if_equal(&block.syncing, &holder, claims.owner):
        if holder == claims.owner or owner_alive(holder) or not swap_if_equal(&block.syncing, &holder, claims.owner):
            return 0
    begun = load_acquire(&block.durable)
    reached = frontier(claims)
    error = 0
    if reached > begun:
        error = sync_range(store, begun, reached, claims.section, load_acquire(&block.tail))
        if error:
            store_release(&block.sync_error, error)
        else:
            store_release(&block.durable, reached)
            store_release(&block.durable_check, reached ^ claims.control.key)
    store_release(&block.syncing, 0)
    fence_full()                                            # pairs with fence_heavy_side in pause
    if load_relaxed_32(&claims.control.parked):
        wake(claims.control)
    return error


cdef int sync_range(SegmentStore store, uint64_t begun, uint64_t reached, uint64_t size, uint64_t tail) noexcept nogil:
    cdef uint64_t base = begun & ~(size - 1)
    cdef bint names = begun == base
    cdef int error
    while base < reached:
        error = store.sync_segment(base)
        if error and not (error == ENOENT and base < tail):     # retention took it: nobody misses it
            return error
        names = names or base > begun
        base += size
    return store.sync_names() if names else 0
