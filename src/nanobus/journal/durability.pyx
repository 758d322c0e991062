"""Group commit; the protocol is told in durability.pxd."""
import os

from cpython.exc cimport PyErr_CheckSignals
from libc.errno cimport EAGAIN, ENOENT
from libc.stdint cimport uint64_t

from nanobus.bus.claims cimport Claims, Stall, frontier, settle_stalled
from nanobus.bus.control cimport WRITERS_PARKED
from nanobus.bus.waiting cimport STALL_RECHECK_NS, Wait, begin, pause, wake
from nanobus.core.atomics cimport fence_full, load_acquire, load_relaxed_32, store_release, swap_if_equal
from nanobus.core.owner cimport owner_alive
from nanobus.core.steps cimport step
from nanobus.journal.layout cimport JournalBlock, journal_block
from nanobus.journal.seeking cimport Seeker, begin_seeking, end_seeking
from nanobus.journal.store cimport SegmentStore

from nanobus.errors import MappingError


cdef enum:
    SIGNAL_CHECK_NS = 50_000_000


cdef int ensure_durable(const Claims *claims, SegmentStore store, uint64_t end, uint64_t *sealing) except -1:
    cdef int error = EAGAIN
    while error == EAGAIN:
        with nogil:
            error = wait_until_durable(claims, store, end, sealing)
        PyErr_CheckSignals()                                # an open claim of somebody may keep it for long
    if error:
        raise refusal(error, claims, store)
    return 0


cdef object refusal(int error, const Claims *claims, SegmentStore store):
    cdef JournalBlock *block = journal_block(claims.control)
    cdef uint64_t durable = load_acquire(&block.durable)
    if load_acquire(&block.sync_error) == 0:                # the disk was not even asked
        return MappingError(
            error, f"cannot sync now ({os.strerror(error)}): what is before position {durable} is safe, and the next "
            "sync tries the rest again", store.path,
        )
    return MappingError(
        error, f"the disk refused to keep what was written ({os.strerror(error)}): what is before position {durable} "
        "is safe, the rest is only in memory; opening the journal anew, once everybody has closed it, writes it again",
        store.path,
    )


cdef int wait_until_durable(const Claims *claims, SegmentStore store, uint64_t end, uint64_t *sealing) noexcept nogil:
    """0, the errno of the disk, or EAGAIN: it is time to look for signals."""
    cdef JournalBlock *block = journal_block(claims.control)
    cdef uint64_t reached
    cdef Stall stall = Stall(0, 0)
    cdef Claims own
    cdef Seeker seeker
    cdef Wait waiting
    cdef int error = 0
    begin_seeking(&seeker, &own, claims, store)
    begin(&waiting, claims.control, WRITERS_PARKED, SIGNAL_CHECK_NS)
    waiting.longest_sleep = STALL_RECHECK_NS
    while not error and load_acquire(&block.durable) < end:
        error = sync_once(&own, store)
        if error or load_acquire(&block.durable) >= end:
            break
        reached = frontier(&own)
        if reached < end:                                   # somebody's claim is in flight
            settle_stalled(&stall, &own, reached, sealing)
        if not pause(&waiting):
            error = EAGAIN
    end_seeking(&seeker)
    return error


cdef int sync_once(Claims *claims, SegmentStore store) noexcept nogil:
    cdef JournalBlock *block = journal_block(claims.control)
    cdef uint64_t holder = 0, begun, reached
    cdef bint refused = False
    cdef int error
    if load_acquire(&block.sync_error):
        return <int> load_acquire(&block.sync_error)
    if not swap_if_equal(&block.syncing, &holder, claims.owner):
        if holder == claims.owner or owner_alive(holder) or not swap_if_equal(&block.syncing, &holder, claims.owner):
            return 0
    step()
    begun = load_acquire(&block.durable)
    reached = frontier(claims)
    error = 0
    if reached > begun:
        error = sync_range(store, block, begun, reached, claims.section, &refused)
        step()
        if error == 0:
            store_release(&block.durable, reached)
            step()
            store_release(&block.durable_check, reached ^ claims.control.key)
        elif refused:                                       # else the disk was not even asked
            store_release(&block.sync_error, error)
    step()
    store_release(&block.syncing, 0)
    step()
    fence_full()                                            # pairs with fence_heavy_side in pause
    if load_relaxed_32(&claims.control.parked):
        wake(claims.control)
    return error


cdef int sync_range(
    SegmentStore store, const JournalBlock *block, uint64_t begun, uint64_t reached, uint64_t size, bint *refused
) noexcept nogil:
    cdef uint64_t base = begun & ~(size - 1)
    cdef bint names = begun == base
    cdef int error
    while base < reached:
        error = store.sync_segment(base, refused)
        step()
        if error and not (error == ENOENT and base < load_acquire(&block.tail)):   # retention took it
            return error
        names = names or base > begun
        base += size
    return store.sync_names(refused) if names else 0
