"""What is done for a journal now and then, by its keeper."""
from nanobus.bus.claims cimport Claims
from nanobus.journal.store cimport SegmentStore

# Settle what the dead left, sync what the policy says, let old segments go, make the next one ready. Where a part fails
# the others are done, and the first error is raised.
cdef int keep(Claims *claims, SegmentStore store, str sync_policy, object retention) except -1
# Free the lines of the dead, and seal what they had claimed.
cdef void settle_dead(const Claims *claims, SegmentStore store) noexcept
