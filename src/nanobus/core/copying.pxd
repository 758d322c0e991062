"""Copying bytes that somebody may be overwriting meanwhile; what came of it is looked at only once it is sure that
nobody did.

That is the reading half of a seqlock, and C11 has no race-free word for it: the writer's stores are plain, for most of
them are a user's, in place. It holds all the same, as nothing read here decides anything before the reader has looked
whether it was overtaken, with an acquire fence in between; a torn copy is thrown away. ThreadSanitizer, which knows
neither fences nor that, is told not to look at this one function, which copies by itself: memcpy would be looked at.
"""
from libc.stdint cimport uint8_t


cdef extern from *:
    """
    #ifndef NANOBUS_COPYING
    #define NANOBUS_COPYING
    #include <stdint.h>
    #include <string.h>
    #ifdef NANOBUS_THREAD_SANITIZER
    __attribute__((noinline, no_sanitize("thread")))
    static void nb_copy_racing(uint8_t *to, const uint8_t *from, size_t size) {
        const volatile uint8_t *source = from;             /* volatile: or the compiler calls memcpy after all */
        for (size_t i = 0; i < size; i++)
            to[i] = source[i];
    }
    #else
    static inline void nb_copy_racing(uint8_t *to, const uint8_t *from, size_t size) { memcpy(to, from, size); }
    #endif
    #endif
    """
    void copy_racing "nb_copy_racing"(uint8_t *to, const uint8_t *source, size_t size) noexcept nogil
