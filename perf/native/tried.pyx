"""The compiled half of alternatives/."""
from cpython.bytes cimport PyBytes_FromStringAndSize
from cpython.memoryview cimport PyMemoryView_FromMemory
from cpython.buffer cimport PyBUF_READ
from libc.stdint cimport uint64_t

from nanobus.bus.base cimport BUS_OK, BusReader, Slot


def call_with_bytes(method, bytes payload not None, uint64_t count):
    """Call `method(bytes)` `count` times, each time with a new object."""
    cdef char *start = payload
    cdef Py_ssize_t size = len(payload)
    cdef uint64_t _number
    for _number in range(count):
        method(PyBytes_FromStringAndSize(start, size))


def call_with_memoryview(method, bytes payload not None, uint64_t count):
    """Call `method(memoryview)` `count` times, each time with a new object, released behind it, as a slot needs it."""
    cdef char *start = payload
    cdef Py_ssize_t size = len(payload)
    cdef uint64_t _number
    for _number in range(count):
        view = PyMemoryView_FromMemory(start, size, PyBUF_READ)
        method(view)
        view.release()


def read_at_once(BusReader reader not None, uint64_t count):
    """Read `count` messages that are there, without the GIL from the first to the last."""
    cdef uint64_t number = 0
    cdef Slot slot
    with nogil:
        while number < count and reader.peek(&slot) == BUS_OK:
            reader.advance()
            number += 1


def read_one_by_one(BusReader reader not None, uint64_t count):
    """The same, taking the GIL behind each, as where each is handled."""
    cdef uint64_t number = 0
    cdef bint found = True
    cdef Slot slot
    while number < count and found:
        with nogil:
            found = reader.peek(&slot) == BUS_OK
            if found:
                reader.advance()
        number += 1
