"""What is on the disk, and who sees to it.

`durable` in the control file says: every slot before it is on the disk, with every slot before those. It moves only so:

    1  take the turn           syncing: nobody (or somebody dead) -> self, by compare-and-swap
    2  to = frontier           before it every slot is committed: a slot behind a claim in flight is not durable even if
                               its own bytes are, for a recovery cuts at the first torn slot
    3  sync each segment that has bytes of durable .. to; the folder too, if one of them begins there
    4  durable = to            after the disk said yes: a stale value on the disk only makes a recovery look at more
    5  give the turn back, wake who waits

Writers that arrive while one syncs find the turn taken, wait, and the next sync serves them all: group commit. A sync
that failed is never repeated and never forgotten (a kernel may drop what it could not write): `sync_error` stays, and
every promise after it is refused, until opening it anew (recovery.pxd) has written what the disk may not have.
"""
from libc.stdint cimport uint64_t

from nanobus.bus.claims cimport Claims
from nanobus.journal.store cimport SegmentStore

# Until every slot before `end` is on the disk; raises MappingError where the disk refuses. Gives the GIL away.
cdef int ensure_durable(const Claims *claims, SegmentStore store, uint64_t end, uint64_t *sealing) except -1
# What is raised where a sync failed with `error`.
cdef object refusal(int error, const Claims *claims, SegmentStore store)
# 0 or errno: one turn, if nobody else has it.
cdef int sync_once(Claims *claims, SegmentStore store) noexcept nogil
