from libc.stdint cimport uint64_t

from nanobus.bus.claims cimport Claims
from nanobus.journal.layout cimport JournalCursor

# The cursor called `name`, now owned by this process; NULL where there is none. CursorInUseError.
cdef JournalCursor *take_cursor(const Claims *claims, str name) except? NULL
# A new one at `position`, owned. The caller holds the lock of the journal's cursors.
cdef JournalCursor *add_cursor(const Claims *claims, str name, uint64_t position) except NULL
cdef dict cursors_of(const Claims *claims)
cdef int drop_cursor(const Claims *claims, str name) except -1
# The lowest position a named cursor stands at; the highest u64 where there is none.
cdef uint64_t lowest_cursor(const Claims *claims) noexcept nogil
# As `disown` in bus/claims.pxd, and of the cursors and the syncing, too.
cdef void disown_all(Claims *claims) noexcept nogil
cdef int check_cursor_name(str name) except -1
