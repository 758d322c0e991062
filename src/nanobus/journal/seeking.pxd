from cpython.object cimport PyObject

from nanobus.bus.claims cimport Claims
from nanobus.journal.segment cimport Segment
from nanobus.journal.store cimport SegmentStore

# A look at single slots anywhere in the journal, for settling the dead; one segment is mapped at a time.
cdef struct Seeker:
    Segment segment
    PyObject *store                     # borrowed
    int failure                         # errno that kept it from a slot which may be there; 0: none did

# Make `own` a copy of `claims` that reaches every slot through `seeker`; both must outlive its use.
cdef void begin_seeking(Seeker *seeker, Claims *own, const Claims *claims, SegmentStore store) noexcept nogil
cdef void end_seeking(Seeker *seeker) noexcept nogil
