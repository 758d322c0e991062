"""Sleeping until another thread or process says there is news.

`park(word, seen, ns)` sleeps while `*word == seen`, at most `ns`; `unpark_all(word)` wakes every sleeper in every
process. Linux: a futex on the shared mapping. Elsewhere, or with NANOBUS_PORTABLE: a short sleep, so the parker polls.

The news itself is published with no fence by the busy side (`fence_light_side`), so the parker has to pay for both:
`fence_heavy_side` runs a barrier on every processor that runs a thread of a registered process (membarrier), which
makes "store the news, look for parkers" and "say I park, look for news" as safe as if both had a full fence. A process
registers once, when it opens a bus. Where the kernel refuses, `fence_heavy_side_works` is 0 and the writers of that
process use a full fence; a parker there may miss a wake-up by others and finds the news at its next re-check.
"""
from libc.stdint cimport int64_t, uint32_t


cdef extern from *:
    """
    #ifndef NANOBUS_PARKING
    #define NANOBUS_PARKING
    #include <stdint.h>
    #include <time.h>
    #if defined(__linux__) && !defined(NANOBUS_PORTABLE)
    #include <limits.h>
    #include <linux/futex.h>
    #include <linux/membarrier.h>
    #include <sys/syscall.h>
    #include <unistd.h>
    static inline void nb_park(uint32_t *word, uint32_t seen, int64_t ns) {
        struct timespec most = {ns / 1000000000, ns % 1000000000};
        syscall(SYS_futex, word, FUTEX_WAIT, seen, &most, NULL, 0);
    }
    static inline void nb_unpark_all(uint32_t *word) { syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0); }
    static inline int nb_fence_heavy_side_works(void) {
        return syscall(SYS_membarrier, MEMBARRIER_CMD_REGISTER_GLOBAL_EXPEDITED, 0, 0) == 0;
    }
    static inline void nb_fence_heavy_side(void) {
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        syscall(SYS_membarrier, MEMBARRIER_CMD_GLOBAL_EXPEDITED, 0, 0);
    }
    #else
    static inline void nb_park(uint32_t *word, uint32_t seen, int64_t ns) {
        struct timespec nap = {0, ns < 500000 ? ns : 500000};
        if (__atomic_load_n(word, __ATOMIC_ACQUIRE) == seen)
            nanosleep(&nap, NULL);
    }
    static inline void nb_unpark_all(uint32_t *word) { (void) word; }
    static inline int nb_fence_heavy_side_works(void) { return 0; }
    static inline void nb_fence_heavy_side(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
    #endif
    #endif
    """
    void park "nb_park"(uint32_t *word, uint32_t seen, int64_t ns) noexcept nogil
    void unpark_all "nb_unpark_all"(uint32_t *word) noexcept nogil
    bint fence_heavy_side_works "nb_fence_heavy_side_works"() noexcept nogil
    void fence_heavy_side "nb_fence_heavy_side"() noexcept nogil
