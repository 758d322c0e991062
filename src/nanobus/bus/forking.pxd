"""What becomes of lines when a process forks, or becomes another program by exec.

A line carries the name of the process that took it (core/owner.pxd). Two system calls leave that name misleading:

    fork    The child has copies of the parent's handles, and their lines are the parent's. It lets go of all of them
            inside fork() itself, whoever called it: the first destructors run soon after, before any Python hook.
    exec    The new program has the pid and the start time of the old one, but none of its handles. Before it takes its
            first line of a file, it gives those that bear its name already to the dead.

A handle ties itself to its line for as long as it lives:

    tie(&self.tie, <void **> &self.line, instead, &self.key)        once self.line is set
    untie(&self.tie)                                                in `__dealloc__`, before the line is released

In a forked child `line` then is `instead` (NULL, or a line of the handle's own), and the key fits no stamp any more.
"""
from libc.stdint cimport uint64_t

from nanobus.bus.claims cimport Claims

cdef struct Tie:
    void **line
    void *instead
    uint64_t *key                       # NULL: the handle needs no other hint
    Tie *next
    Tie **place                         # the pointer to this tie; NULL: not tied

# From any thread, with or without the GIL.
cdef void tie(Tie *self, void **line, void *instead, uint64_t *key) noexcept nogil
cdef void untie(Tie *self) noexcept nogil

# Before a line of the bus that the file behind `descriptor` stands for is taken; `disown` is called once a program.
cdef int disown_former_lines(Claims *claims, int descriptor, void (*disown)(Claims *) noexcept nogil) except -1
