"""Letting old segments go while others read.

    retention   limit = what nobody needs any more; tail = limit; full fence; look again: segments before the lower of
                both looks are removed
    reader      its line (or cursor) shows P; full fence; if the tail is past P it was too late

A segment goes only once it is on the disk. A power loss may undo the removal, and what the control file says of it too;
then recovery would cut where the segment is torn, and with it all that was promised since. Where nothing
can be synced, nothing is promised: then room is made nevertheless, and the removal itself is synced.

Either the reader sees the new tail and is refused, or the second look sees the reader and its segment stays.
"""
from libc.stdint cimport uint64_t

from nanobus.bus.claims cimport Claims
from nanobus.journal.store cimport SegmentStore

# Remove what `retention` allows, of what is on the disk if that is `synced`; how many segments that were.
cdef int trim(Claims *claims, SegmentStore store, object retention, list bases, bint synced) except -1
