"""Opening a journal that nobody else has open: whatever its last users left behind is put right.

    the same run of the machine     Everything that was written is there, in the page cache if not on the disk. Claims
                                    of the dead become padding; no message is lost. Costs what there are lines, and a
                                    walk over the headers of the last segment, which proves the head.
    another run (boot id)           The disk may have kept any page written since the last sync, and lost any other.
                                    From `durable` on every slot is checked, stamp and checksum; at the first that does
                                    not fit the journal is cut: the file is shortened, what was behind is zero when it
                                    grows again, later segments go. Nothing past the end can ever be read again.

Both are idempotent: a process that dies in here leaves what the next one starts from. The head moves last.
"""
from nanobus.bus.claims cimport Claims
from nanobus.journal.store cimport SegmentStore

# Returns a Recovery. The caller is alone with the journal.
cdef object recover(const Claims *claims, SegmentStore store)
