"""The bare call of a Python method from C: the floor of dispatching."""
from cpython.object cimport PyObject
from libc.stdint cimport uint64_t


cdef extern from "Python.h":
    object PyObject_Vectorcall(PyObject *function, PyObject **arguments, size_t count, PyObject *names)


def call(method, argument, uint64_t count):
    """Call a bound method with one argument `count` times."""
    cdef PyObject *arguments[2]
    cdef uint64_t number
    function, receiver = method.__func__, method.__self__
    arguments[0] = <PyObject *> receiver
    arguments[1] = <PyObject *> argument
    for number in range(count):
        PyObject_Vectorcall(<PyObject *> function, arguments, 2, NULL)
