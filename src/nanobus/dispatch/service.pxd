"""What a handler sends with, kept beside the handler instead of in it.

    handler  --__nanobus_voice__-->  Voice  --outlet-->  Outlet, of its worker
             --send-->  the bound method of that Voice

A Service has no fields of its own: an object that begins with some has no place for its attributes that the
interpreter finds at once (CPython 3.13 and later), and every `self.x` in a handler would cost several times as much.
For the same reason `send` is an attribute of each handler, unless its class overrides it.
"""
from libc.stdint cimport uint16_t, uint64_t

from nanobus.dispatch.outlet cimport Outlet


cdef class Voice:
    """Of one handler, from when it is bound to its worker on. Refers to nothing that refers to the handler."""
    cdef Outlet outlet                  # None: the worker has ended
    cdef unsigned long thread           # the worker's, which alone may look at the outlet; 0: it has ended
    cdef uint16_t source
    cdef type owner                     # the handler's class
    cdef object permit                  # of its native functions, which ends when the handler leaves its worker
    cdef object generator               # random.Random of the message at `generator_position`
    cdef uint64_t generator_position

    cdef Outlet running(self)
    cdef int end(self) except -1


cdef class Service:
    """The compiled half of a handler."""


# NotRunningError where the service was never bound.
cdef Voice voice_of(Service service)

# Connect `service` to its worker, before `__init__` runs; None: disconnect it.
cdef int bind_service(Service service, uint16_t source, Outlet outlet) except -1
