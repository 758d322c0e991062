"""Waiting without the GIL; the protocol is told in waiting.pxd."""
from libc.stdint cimport INT64_MAX, int64_t, uint32_t

from nanobus.bus.control cimport WAIT_SPIN, WAIT_YIELD, ControlBlock
from nanobus.core.atomics cimport (
    atomic_add_32, exchange_32, load_acquire_32, relax, set_bits_32
)
from nanobus.core.clock cimport monotonic_ns
from nanobus.core.parking cimport fence_heavy_side, park, unpark_all
from nanobus.core.steps cimport step


cdef extern from "<sched.h>" nogil:
    int sched_yield()


cdef enum:
    SPINS_BETWEEN_CLOCK_READINGS = 64


cdef void begin(Wait *wait, ControlBlock *control, uint32_t role, int64_t timeout_ns) noexcept nogil:
    wait.control = control
    wait.role = role
    wait.turns = 0
    wait.looks_around = True
    wait.armed = False
    wait.longest_sleep = RECHECK_NS
    wait.deadline = deadline_after(timeout_ns)


cdef bint pause(Wait *wait) noexcept nogil:
    cdef uint32_t flags = wait.control.flags
    cdef int64_t left
    wait.turns += 1
    wait.looks_around = wait.turns % SPINS_A_LOOK == 0
    if flags & (WAIT_SPIN | WAIT_YIELD) or wait.turns < SPINS_BEFORE_PARKING:
        if wait.turns % SPINS_BETWEEN_CLOCK_READINGS == 0 or flags & WAIT_YIELD:    # a yield takes any time
            if monotonic_ns() >= wait.deadline:
                return False
        if flags & WAIT_YIELD:
            sched_yield()
        else:
            relax()
        return True
    wait.looks_around = True                                # before every sleep and after it
    if not wait.armed:
        wait.seen = load_acquire_32(&wait.control.news)     # before the bit: a wake-up that takes the bit changes it
        step()
        set_bits_32(&wait.control.parked, wait.role)
        step()
        fence_heavy_side()                                  # pairs with fence_light_side of every waker
        step()
        wait.armed = True
        return True
    wait.armed = False
    left = min(wait.deadline - monotonic_ns(), wait.longest_sleep)
    if left <= 0:
        return False
    step()
    park(&wait.control.news, wait.seen, left)
    step()
    return True


cdef void wake(ControlBlock *control) noexcept nogil:
    if exchange_32(&control.parked, 0):
        step()
        atomic_add_32(&control.news, 1)
        step()
        unpark_all(&control.news)
        step()


cdef int64_t deadline_after(int64_t ns) noexcept nogil:
    cdef int64_t now
    if ns == INT64_MAX:
        return ns
    now = monotonic_ns()
    return now + ns if ns < INT64_MAX - now else INT64_MAX


cdef int64_t nanoseconds(object timeout) except? -1:
    cdef double seconds
    if timeout is None:
        return INT64_MAX
    try:
        seconds = timeout
    except OverflowError:
        raise ValueError(f"timeout must be None or >= 0 seconds that fit a float, got {timeout!r}") from None
    if not seconds >= 0:
        raise ValueError(f"timeout must be None or >= 0 seconds, got {timeout!r}")
    return <int64_t> (seconds * 1e9) if seconds < 9e9 else INT64_MAX
