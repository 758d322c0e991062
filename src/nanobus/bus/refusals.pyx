"""Saying no: the rule and the value, in the same words wherever it happens."""
from libc.stdint cimport INT64_MAX, uint32_t, uint64_t

from nanobus.errors import CorruptMessageError, MessageTooLargeError


cdef int raise_too_large(uint32_t max_payload, Py_ssize_t size) except -1:
    raise MessageTooLargeError(f"a payload must be at most {max_payload} bytes on this bus, got {size}")


cdef str fill_of(uint64_t head, uint64_t gate):
    return f"head at {head}, the slowest reader or claim in flight at {gate}"


cdef object checksum_error(uint64_t position):
    return CorruptMessageError(f"the checksum of the message at {position} does not fit its bytes")


cdef int check_plain_start(object start) except -1:
    if isinstance(start, str) and start not in ("oldest", "newest"):
        raise ValueError(f'start must be "oldest", "newest" or a position, got {start!r}')
    if not isinstance(start, str) and (isinstance(start, bool) or not isinstance(start, int)):
        raise TypeError(f'start must be "oldest", "newest" or a position, got {start!r}')
    return 0


cdef int check_lag_limit(object lag_limit, object gate) except -1:
    if lag_limit is not None and (
        not gate or isinstance(lag_limit, bool) or not isinstance(lag_limit, int) or not 0 < lag_limit <= INT64_MAX
    ):
        raise ValueError(f"lag_limit must be > 0 bytes and goes with gate=True, got {lag_limit!r}")
    return 0
