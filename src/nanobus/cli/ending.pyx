"""How a process ends: by a signal, after everything that the interpreter does at its own end."""
from libc.signal cimport SIG_DFL, raise_, signal


cdef extern from "Python.h":
    int Py_AtExit(void (*function)() noexcept) noexcept

cdef int chosen = 0                         # no signal


def end_by(int number):
    """Let the signal `number` end this process once the interpreter has, in place of its exit code.

    Where the signal does not end it (a container's first process, a blocked signal), the exit code stays.
    """
    global chosen
    if chosen == 0 and Py_AtExit(end) != 0:
        return                              # all the room for such functions is taken: the exit code stays
    chosen = number


cdef void end() noexcept nogil:
    signal(chosen, SIG_DFL)
    raise_(chosen)
