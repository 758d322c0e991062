# cython: boundscheck=False, wraparound=False, cdivision=True
"""What any bus has to pay: the floors that benchmarks stand beside."""
from libc.stdint cimport uint64_t
from libc.string cimport memcpy

from nanobus.core.atomics cimport load_acquire, store_release, swap_if_equal

cdef enum:
    PAGE = 4096


def swap(uint64_t count):
    """Compare-and-swap one word nobody else touches `count` times."""
    cdef uint64_t word = 0, seen = 0, number
    with nogil:
        for number in range(count):
            seen = number
            swap_if_equal(&word, &seen, number + 1)
    return word


def copy(const unsigned char[::1] source, unsigned char[::1] target, uint64_t count):
    """Copy `source` `count` times, each time behind the last one, over and over through `target`.

    Targets begin half a page off the source: where one is 16 bytes ahead modulo 4096, a copy of some KiB by `rep movsb`
    takes twenty times as long on Zen 3, and a floor must not hang on where memory happened to be found.
    """
    cdef size_t size = source.shape[0], room = target.shape[0]
    cdef size_t first = (<size_t> &source[0] + PAGE // 2 - <size_t> &target[0]) % PAGE
    cdef size_t at = first
    cdef uint64_t _number
    if first + size > room:
        raise ValueError(f"target must have a page more than the {size} bytes of source, got {room}")
    with nogil:
        for _number in range(count):
            memcpy(&target[at], &source[0], size)
            at += size
            if at + size > room:
                at = first


cdef class CacheLine:
    """A word in a cache line of its own, that two threads write in turn."""
    cdef uint64_t words[16]             # 128 bytes: the word in the middle shares its line with nobody's
    cdef uint64_t number                # of the thread that asks

    def ask(self, uint64_t count):
        """Send the line there and wait for it `count` times; goes on where it was."""
        cdef uint64_t *word = &self.words[8]
        cdef uint64_t number = self.number, last = number + count
        with nogil:
            while number < last:
                number += 1
                store_release(word, 2 * number - 1)             # pairs with the load of `answer`
                while load_acquire(word) != 2 * number:
                    pass
        self.number = last

    def answer(self, uint64_t count):
        """Send it back `count` times, counted from the beginning."""
        cdef uint64_t *word = &self.words[8]
        cdef uint64_t number = 0
        with nogil:
            while number < count:
                number += 1
                while load_acquire(word) != 2 * number - 1:
                    pass
                store_release(word, 2 * number)                 # pairs with the load of `ask`
