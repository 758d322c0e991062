"""What a status of the nogil code means, said by name."""
import os

from libc.stdint cimport uint64_t

from nanobus.journal.segment cimport SEGMENT_FOREIGN, SEGMENT_MISSING, SEGMENT_SHORT, SLOT_DAMAGED, SLOT_TOO_LONG

from nanobus.errors import CorruptJournalError, MappingError

cdef dict MEANING = {
    SEGMENT_MISSING: "the segment that holds it is missing",
    SEGMENT_FOREIGN: "the segment that holds it has no header, a damaged one, or that of another journal or version",
    SEGMENT_SHORT: "the segment that holds it was truncated",
    SLOT_DAMAGED: "no message starts there, though one was committed: its header is damaged",
    SLOT_TOO_LONG: "the size of the message there leaves its segment: its header is damaged",
}


cdef int raise_failure_at(str path, int code, uint64_t position) except -1:
    where = "the journal in memory" if path is None else f"the journal {path!r}"
    if code in MEANING:
        raise CorruptJournalError(f"{where} is damaged at position {position}: {MEANING[code]}", position=position)
    raise MappingError(code, f"{where} cannot be used at position {position}: {os.strerror(code)}", path)
