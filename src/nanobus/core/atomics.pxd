"""Every memory order of the library is spelled here and nowhere else.

Names say the order. `acquire` pairs with the `release` that wrote the value; the caller's comment names it. x86
orders everything but a store before a later load, so most of these cost nothing there; ARM needs each of them.

`fence_heavy_side` and `fence_light_side` are the two halves of an asymmetric fence: see parking.pxd, which gives the
heavy half. The light half only keeps the compiler from reordering.
"""
from libc.stdint cimport uint32_t, uint64_t


cdef extern from *:
    """
    #ifndef NANOBUS_ATOMICS
    #define NANOBUS_ATOMICS
    #include <stdint.h>

    static inline uint64_t nb_load_relaxed(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
    static inline uint64_t nb_load_acquire(const uint64_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
    static inline void nb_store_relaxed(uint64_t *word, uint64_t value) {
        __atomic_store_n(word, value, __ATOMIC_RELAXED);
    }
    static inline void nb_store_release(uint64_t *word, uint64_t value) {
        __atomic_store_n(word, value, __ATOMIC_RELEASE);
    }
    static inline int nb_swap_if_equal(uint64_t *word, uint64_t *expected, uint64_t desired) {
        return __atomic_compare_exchange_n(word, expected, desired, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    }
    static inline uint64_t nb_add(uint64_t *word, uint64_t value) {
        return __atomic_fetch_add(word, value, __ATOMIC_ACQ_REL);
    }
    static inline uint32_t nb_load_relaxed_32(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_RELAXED); }
    static inline uint32_t nb_load_acquire_32(const uint32_t *word) { return __atomic_load_n(word, __ATOMIC_ACQUIRE); }
    static inline void nb_store_relaxed_32(uint32_t *word, uint32_t value) {
        __atomic_store_n(word, value, __ATOMIC_RELAXED);
    }
    static inline void nb_store_release_32(uint32_t *word, uint32_t value) {
        __atomic_store_n(word, value, __ATOMIC_RELEASE);
    }
    static inline uint32_t nb_exchange_32(uint32_t *word, uint32_t value) {
        return __atomic_exchange_n(word, value, __ATOMIC_ACQ_REL);
    }
    static inline uint32_t nb_add_32(uint32_t *word, uint32_t value) {
        return __atomic_fetch_add(word, value, __ATOMIC_ACQ_REL);
    }
    static inline uint32_t nb_set_bits_32(uint32_t *word, uint32_t bits) {
        return __atomic_fetch_or(word, bits, __ATOMIC_ACQ_REL);
    }
    static inline int nb_swap_if_equal_32(uint32_t *word, uint32_t *expected, uint32_t desired) {
        return __atomic_compare_exchange_n(word, expected, desired, 0, __ATOMIC_ACQ_REL, __ATOMIC_ACQUIRE);
    }
    static inline void nb_fence_acquire(void) { __atomic_thread_fence(__ATOMIC_ACQUIRE); }
    static inline void nb_fence_release(void) { __atomic_thread_fence(__ATOMIC_RELEASE); }
    static inline void nb_fence_full(void) { __atomic_thread_fence(__ATOMIC_SEQ_CST); }
    static inline void nb_fence_light_side(void) { __atomic_signal_fence(__ATOMIC_SEQ_CST); }
    static inline void nb_relax(void) {
    #if defined(__x86_64__) || defined(__i386__)
        __builtin_ia32_pause();
    #elif defined(__aarch64__)
        __asm__ __volatile__("isb");
    #endif
    }
    #endif
    """
    uint64_t load_relaxed "nb_load_relaxed"(const uint64_t *word) noexcept nogil
    uint64_t load_acquire "nb_load_acquire"(const uint64_t *word) noexcept nogil
    void store_relaxed "nb_store_relaxed"(uint64_t *word, uint64_t value) noexcept nogil
    void store_release "nb_store_release"(uint64_t *word, uint64_t value) noexcept nogil
    bint swap_if_equal "nb_swap_if_equal"(uint64_t *word, uint64_t *expected, uint64_t desired) noexcept nogil
    uint64_t atomic_add "nb_add"(uint64_t *word, uint64_t value) noexcept nogil
    uint32_t load_relaxed_32 "nb_load_relaxed_32"(const uint32_t *word) noexcept nogil
    uint32_t load_acquire_32 "nb_load_acquire_32"(const uint32_t *word) noexcept nogil
    void store_relaxed_32 "nb_store_relaxed_32"(uint32_t *word, uint32_t value) noexcept nogil
    void store_release_32 "nb_store_release_32"(uint32_t *word, uint32_t value) noexcept nogil
    uint32_t exchange_32 "nb_exchange_32"(uint32_t *word, uint32_t value) noexcept nogil
    uint32_t atomic_add_32 "nb_add_32"(uint32_t *word, uint32_t value) noexcept nogil
    uint32_t set_bits_32 "nb_set_bits_32"(uint32_t *word, uint32_t bits) noexcept nogil
    bint swap_if_equal_32 "nb_swap_if_equal_32"(uint32_t *word, uint32_t *expected, uint32_t desired) noexcept nogil
    void fence_acquire "nb_fence_acquire"() noexcept nogil
    void fence_release "nb_fence_release"() noexcept nogil
    void fence_full "nb_fence_full"() noexcept nogil
    void fence_light_side "nb_fence_light_side"() noexcept nogil
    void relax "nb_relax"() noexcept nogil
