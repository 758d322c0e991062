"""`Bus.write` while the bus's own writer waits for room in another thread."""
import time

cimport cython
from libc.stdint cimport INT64_MAX, int64_t

from nanobus.bus.base cimport Bus, BusWriter
from nanobus.bus.waiting cimport deadline_after, nanoseconds
from nanobus.core.clock cimport monotonic_ns

from nanobus.errors import BusFullError, TooManyHandlesError


cdef double TURN_SECONDS = 0.002        # with no line left: until the next look at who has gone


def write_in_turn(Bus bus not None, source, message_id, payload, cause, timeout):
    """Write with a writer of this call's own; where every line is taken, with whichever writer is free first."""
    cdef BusWriter shared = bus.shared_writer
    cdef int64_t deadline = deadline_after(nanoseconds(timeout))
    seconds, refusal = timeout, None
    while True:
        try:
            with bus.writer() as writer:
                return writer.write(source, message_id, payload, cause=cause, timeout=seconds)
        except TooManyHandlesError as error:
            refusal = error
        time.sleep(TURN_SECONDS if seconds is None else min(seconds, TURN_SECONDS))
        bus.check_open()
        seconds = seconds_until(deadline)
        if seconds == 0:
            raise BusFullError(f"no room within {timeout} s, and {refusal}")
        with cython.critical_section(shared):
            if not shared.busy:
                return shared.put(source, message_id, payload, cause, seconds)


cdef object seconds_until(int64_t deadline):
    """What is left; None: for ever."""
    return None if deadline == INT64_MAX else max(deadline - monotonic_ns(), <int64_t> 0) / 1e9
