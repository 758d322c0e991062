# cython: boundscheck=False, wraparound=False, cdivision=True
"""What any bus has to pay: the floors that benchmarks stand beside."""
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from nanobus.core.atomics cimport swap_if_equal


def swap(uint64_t count):
    """Compare-and-swap one word nobody else touches `count` times."""
    cdef uint64_t word = 0, seen = 0, number
    with nogil:
        for number in range(count):
            seen = number
            swap_if_equal(&word, &seen, number + 1)
    return word


def copy(const unsigned char[::1] source, unsigned char[::1] target, uint64_t count):
    """Copy `source` `count` times, each time behind the last one, over and over through `target`."""
    cdef size_t size = source.shape[0], room = target.shape[0], at = 0
    cdef uint64_t _number
    with nogil:
        for _number in range(count):
            memcpy(&target[at], &source[0], size)
            at += size
            if at + size > room:
                at = 0
    return count
