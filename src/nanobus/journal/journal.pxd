from libc.stdint cimport int64_t, uint64_t

from nanobus.bus.sharing cimport SharedBus
from nanobus.bus.control cimport ReaderLine
from nanobus.journal.journal_reader cimport JournalReader
from nanobus.journal.store cimport SegmentStore


cdef class JournalBus(SharedBus):
    cdef SegmentStore store
    cdef readonly object path           # str or None
    cdef readonly uint64_t segment_size
    cdef readonly str sync_policy
    cdef readonly object recovery       # Recovery: what opening it had to do
    cdef readonly object retention      # Retention or None
    cdef readonly uint64_t key          # what tells it from every other journal
    cdef object keeper
    cdef readonly double sync_interval  # seconds
    cdef int at_work                    # calls that keep `close` from giving the process's lock away; under `lock`

    cdef uint64_t find_start(self, int64_t time) except? 0
    cdef ReaderLine *helper_line(self) except NULL
    cdef int report_recovery(self, path) except -1
    cdef int place_reader(self, JournalReader reader, object start, bint gating, object lag_limit) except -1
    cdef int place_at_time(self, JournalReader reader, int64_t time, bint gating, object lag_limit) except -1
    cdef object lock_cursors(self)
    cdef bint has_lines(self)
