"""The rounds of a journal's keeper."""
import os

from libc.stdint cimport uint64_t

from nanobus.bus.claims cimport Claims, reap
from nanobus.core.atomics cimport load_acquire
from nanobus.journal.durability cimport refusal, sync_once
from nanobus.journal.layout cimport journal_block
from nanobus.journal.seeking cimport Seeker, begin_seeking, end_seeking
from nanobus.journal.segment cimport Segment, claim_segment, forget_segment, leave_segment
from nanobus.journal.store cimport SegmentStore
from nanobus.journal.trimming cimport trim

from nanobus.errors import MappingError, NanobusError


cdef int keep(Claims *claims, SegmentStore store, str sync_policy, object retention) except -1:
    settle_dead(claims, store)                              # they would hold back all of the rest
    bases = store.bases()
    failure = None
    try:
        sync_by_policy(claims, store, sync_policy)
    except NanobusError as error:
        failure = error
    try:
        if retention is not None:                           # after the sync: only what is on the disk may go
            trim(claims, store, retention, bases, failure is None)
    except NanobusError as error:
        failure = failure or error
    try:
        make_next_segment(claims, store, bases)
    except NanobusError as error:
        failure = failure or error
    if failure is not None:
        raise failure
    return 0


cdef void settle_dead(const Claims *claims, SegmentStore store) noexcept:
    cdef Seeker seeker
    cdef Claims own
    cdef uint64_t sealing = 0                               # nothing is overwritten here: no gate has to see it
    with nogil:
        begin_seeking(&seeker, &own, claims, store)
        reap(&own, &sealing)
        end_seeking(&seeker)


cdef int sync_by_policy(Claims *claims, SegmentStore store, str sync_policy) except -1:
    cdef int error
    cdef uint64_t full = load_acquire(&claims.control.head) & ~(claims.section - 1)
    if sync_policy == "none" and load_acquire(&journal_block(claims.control).durable) >= full:
        return 0                                            # no segment is full that is not on the disk
    with nogil:
        error = sync_once(claims, store)
    if error:
        raise refusal(error, claims, store)
    return 0


cdef int make_next_segment(Claims *claims, SegmentStore store, list bases) except -1:
    cdef Segment segment
    cdef uint64_t head = load_acquire(&claims.control.head)
    cdef uint64_t wanted = (head & ~(claims.section - 1)) + claims.section
    cdef int error
    if wanted in bases or wanted - head > claims.section // 2:
        return 0
    with nogil:
        forget_segment(&segment, claims.section)
        error = claim_segment(&segment, store, claims.control, wanted, wanted)
        leave_segment(&segment)
    if error:
        raise MappingError(error, f"cannot make the next segment: {os.strerror(error)}", store.path)
    return 0
