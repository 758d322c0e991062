"""Opening a journal that nobody else has open: whatever its last users left behind is put right.

    the same run of the machine     Everything that was written is there, in the page cache if not on the disk. Claims
                                    of the dead become padding; no message is lost. Costs what there are lines, and a
                                    walk over the headers of the last segment, which proves the head.
    another run (boot id)           The disk may have kept any page written since the last sync, and lost any other.
                                    From `durable` on every slot is checked, stamp and checksum; at the first that does
                                    not fit the journal is cut: the file is shortened, what was behind is zero when it
                                    grows again, later segments go. Nothing past the end can ever be read again.
    a sync had failed               Nobody knows what the disk has, and the kernel may take pages for written that are
                                    not. From `durable` on every slot is checked, and written and synced anew. As long
                                    as the disk refuses, so does the journal every promise.

All are idempotent: a process that dies in here leaves what the next one starts from. The head moves last.
"""
from libc.stdint cimport uint64_t

from nanobus.bus.claims cimport Claims
from nanobus.bus.control cimport ControlBlock
from nanobus.journal.store cimport SegmentStore

# Returns a Recovery. The caller is alone with the journal.
cdef object recover(const Claims *claims, SegmentStore store)
# Every slot before it is on the disk, as far as the control file can be trusted.
cdef uint64_t trusted_durable(ControlBlock *control)
