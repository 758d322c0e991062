"""The bare call of a Python method from C, the floor of dispatching; and a native handler that does nothing."""
from cpython.object cimport PyObject
from libc.stdint cimport int32_t, uint64_t, uintptr_t

from nanobus cimport NativeMessage


cdef extern from "Python.h":
    object PyObject_Vectorcall(PyObject *function, PyObject **arguments, size_t count, PyObject *names)


def call(method, argument, uint64_t count):
    """Call a bound method with one argument `count` times."""
    cdef PyObject *arguments[2]
    cdef uint64_t _number
    function, receiver = method.__func__, method.__self__
    arguments[0] = <PyObject *> receiver
    arguments[1] = <PyObject *> argument
    for _number in range(count):
        PyObject_Vectorcall(<PyObject *> function, arguments, 2, NULL)


cdef int32_t do_nothing(const NativeMessage *message, const void *payload, void *outlet, void *state) noexcept nogil:
    return 0


EMPTY = <uintptr_t> &do_nothing
