"""What a handler sends with, kept beside the handler instead of in it.

    voices: address of the handler -> Voice --outlet--> Outlet, of its worker

A Service has no fields: an object that begins with some has no place for its attributes that the interpreter finds at
once (CPython 3.13 and later), and every `self.x` in a handler would cost several times as much. Nor is the Voice one of
these attributes, which are the user's: he may clear, copy and replace them.

An entry goes when the handler leaves its worker, or dies. Each thread remembers some that it used last, of workers of
its own: nobody else lets those go.
"""
from libc.stdint cimport uint16_t, uint64_t

from nanobus.dispatch.outlet cimport Outlet


cdef class Voice:
    """Of one handler, from when it is bound to its worker on. Refers to nothing that refers to the handler."""
    cdef Outlet outlet                  # None: the worker has ended
    cdef unsigned long thread           # the worker's, which alone may look at the outlet
    cdef uint16_t source
    cdef object permit                  # of its native functions, which ends when the handler leaves its worker
    cdef object generator               # random.Random of the message at `generator_position`
    cdef uint64_t generator_position

    cdef int end(self) except -1


cdef class Service:
    """The compiled half of a handler."""


# NotRunningError where the service is in no worker, HandleInUseError in another thread than the worker's.
cdef Voice voice_of(Service service)
