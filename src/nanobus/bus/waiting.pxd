"""How a handle waits for something another thread or process will do: spin, yield, or park.

    Wait wait
    begin(&wait, control, READERS_PARKED, timeout_ns)
    while not <the thing is there>:
        if not pause(&wait): <timed out>

`pause` never sleeps on a condition that was not looked at after the sleeper said it sleeps: parking takes two calls.
The first reads `news`, sets the parked bit, runs the heavy fence and returns, so that the caller looks once more; only
the second sleeps, and not at all if `news` moved since. The waker publishes its news, then (light fence) looks at the
parked bits; `wake` clears them, counts `news` up and wakes everybody, and who still waits parks anew. A waker killed
between the two, or in a process where the heavy fence does not reach, costs the sleeper no more than one re-check
interval.

Most turns of a ring's spinning reader look at nothing but the stamp it waits for. The head tells it of claims in
flight, but whoever keeps reading that line takes it away from every writer that claims; `looks_around` says when it is
time.
"""
from libc.stdint cimport int64_t, uint32_t

from nanobus.bus.control cimport ControlBlock

cdef enum:
    SPINS_BEFORE_PARKING = 400          # about 10 to 20 us: a hop to a running peer takes well under one
    SPINS_A_LOOK = 16                   # turns from one look around to the next, while spinning
    RECHECK_NS = 100_000_000            # longest sleep with nothing outstanding
    SIGNAL_CHECK_NS = 50_000_000        # a wait from Python looks for signals this often; most sleeps end with one
    STALL_RECHECK_NS = 2_000_000        # ... while a claim is outstanding: its owner may be dead

cdef struct Wait:
    ControlBlock *control
    uint32_t role                       # Parked bit
    uint32_t turns
    bint looks_around                   # this turn, the caller looks at more than the word it waits for
    uint32_t seen                       # `news` when the parked bit was set
    bint armed
    int64_t deadline                    # monotonic ns; highest i64: never
    int64_t longest_sleep

cdef void begin(Wait *wait, ControlBlock *control, uint32_t role, int64_t timeout_ns) noexcept nogil
cdef bint pause(Wait *wait) noexcept nogil              # False: the deadline has passed
cdef void wake(ControlBlock *control) noexcept nogil
cdef int64_t deadline_after(int64_t ns) noexcept nogil  # monotonic ns; highest i64: never
cdef int64_t nanoseconds(object timeout) except? -1     # seconds or None (for ever: highest i64)
