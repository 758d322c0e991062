"""Dying on purpose, at any step: what the kill sweep of the tests is made of. Nothing at all in an ordinary build.

`step()` stands between the lines of every protocol that a SIGKILL may interrupt. In a build with -Dsteps=true it
counts, and the process that takes the step it was told to kills itself there. The count is in a file, so that it is one
for all extension modules, survives the kill, and can be set again by a parent that forks:

    $NANOBUS_STEPS      u64 steps taken | u64 the step to die at; 0: none
"""
from libc.stdint cimport uint64_t

from nanobus.core.atomics cimport atomic_add


cdef extern from *:
    """
    #ifndef NANOBUS_STEP
    #define NANOBUS_STEP
    #ifdef NANOBUS_STEPS
    #include <fcntl.h>
    #include <signal.h>
    #include <stdint.h>
    #include <stdlib.h>
    #include <sys/mman.h>
    #include <unistd.h>
    #define NB_COUNTS_STEPS 1
    static inline uint64_t *nb_steps(void) {
        static uint64_t *words;
        const char *path = words ? NULL : getenv("NANOBUS_STEPS");
        int file = path ? open(path, O_RDWR | O_CLOEXEC) : -1;
        if (file >= 0) {
            void *mapped = mmap(NULL, 16, PROT_READ | PROT_WRITE, MAP_SHARED, file, 0);
            close(file);
            if (mapped != MAP_FAILED)
                words = (uint64_t *) mapped;
        }
        return words;
    }
    static inline void nb_die(void) {
        kill(getpid(), SIGKILL);
        for (;;)
            pause();                                       /* another thread may be the one that takes the signal */
    }
    #else
    #define NB_COUNTS_STEPS 0
    #define nb_steps() ((uint64_t *) 0)
    #define nb_die() ((void) 0)
    #endif
    #endif
    """
    bint COUNTS_STEPS "NB_COUNTS_STEPS"
    uint64_t *steps "nb_steps"() noexcept nogil
    void die "nb_die"() noexcept nogil

cdef inline void step() noexcept nogil:
    cdef uint64_t *words
    if COUNTS_STEPS:
        words = steps()
        if words != NULL and atomic_add(words, 1) + 1 == words[1]:
            die()
