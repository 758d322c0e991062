# cython: boundscheck=False, wraparound=False, cdivision=True
"""What any bus has to pay: the floors that benchmarks stand beside."""
from libc.stdint cimport uint64_t

from nanobus.core.atomics cimport swap_if_equal


def swap(uint64_t count):
    """Compare-and-swap one word nobody else touches `count` times."""
    cdef uint64_t word = 0, seen = 0, number
    with nogil:
        for number in range(count):
            seen = number
            swap_if_equal(&word, &seen, number + 1)
    return word
