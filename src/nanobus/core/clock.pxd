"""Wall-clock and monotonic nanoseconds, without the GIL."""
from libc.stdint cimport int64_t


cdef extern from *:
    """
    #ifndef NANOBUS_CLOCK
    #define NANOBUS_CLOCK
    #include <stdint.h>
    #include <time.h>
    static inline int64_t nb_clock_ns(clockid_t clock) {
        struct timespec now;
        clock_gettime(clock, &now);
        return (int64_t) now.tv_sec * 1000000000 + now.tv_nsec;
    }
    static inline int64_t nb_unix_ns(void) { return nb_clock_ns(CLOCK_REALTIME); }
    static inline int64_t nb_monotonic_ns(void) { return nb_clock_ns(CLOCK_MONOTONIC); }
    #endif
    """
    int64_t unix_ns "nb_unix_ns"() noexcept nogil
    int64_t monotonic_ns "nb_monotonic_ns"() noexcept nogil
