# cython: boundscheck=False, wraparound=False, cdivision=True
"""What any bus has to pay: the floors that benchmarks stand beside."""
from libc.stdint cimport uint8_t, uint64_t
from libc.string cimport memcpy

from nanobus.core.atomics cimport fence_light_side, swap_if_equal


def copy_32_bytes(uint64_t count):
    """Copy 32 bytes `count` times."""
    cdef uint8_t there[32]
    cdef uint8_t here[32]
    cdef uint64_t number
    with nogil:
        for number in range(count):
            memcpy(&here[0], &there[0], 32)
            fence_light_side()
            there[0] = here[31]


def swap(uint64_t count):
    """Compare-and-swap one word nobody else touches `count` times."""
    cdef uint64_t word = 0, seen = 0, number
    with nogil:
        for number in range(count):
            seen = number
            swap_if_equal(&word, &seen, number + 1)
    return word
