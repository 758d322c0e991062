"""The frozen vtable a worker dispatches through. Its picture is in router.pxd."""
from types import FunctionType, MethodType

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint16_t, uint32_t
from libc.stdlib cimport calloc, free

from nanobus.bus.codec cimport Codec
from nanobus.dispatch.batches cimport Batch
from nanobus.dispatch.native cimport NativeCall


cdef extern from "Python.h":
    PyObject *PyObject_Vectorcall(PyObject *function, PyObject **arguments, size_t count, PyObject *names) noexcept


cdef extern from *:
    """
    /* What PyObject_Vectorcall finds out, and checks, about any callable is known of a function written in Python. */
    static inline PyObject *nb_call_python(PyObject *function, PyObject **arguments, size_t count) {
        return ((PyFunctionObject *) function)->vectorcall(function, arguments, count, NULL);
    }
    """
    PyObject *call_python "nb_call_python"(PyObject *function, PyObject **arguments, size_t count) noexcept


cdef PyObject *call_python_method(Entry *entry, PyObject *message) noexcept:
    cdef PyObject *arguments[2]
    arguments[0] = entry.receiver
    arguments[1] = message
    return call_python(entry.function, arguments, 2)


cdef PyObject *call_method(Entry *entry, PyObject *message) noexcept:
    cdef PyObject *arguments[2]
    arguments[0] = entry.receiver
    arguments[1] = message
    return PyObject_Vectorcall(entry.function, arguments, 2, NULL)


cdef PyObject *call_function(Entry *entry, PyObject *message) noexcept:
    return PyObject_Vectorcall(entry.function, &message, 1, NULL)


@cython.final
cdef class Router:
    """The receivers of each (source, message), looked up without the GIL.

    Parameters
    ----------
    routes : dict of (int, int) -> sequence of (int, callable, NativeCall or Batch)
        (source id, message id) -> (index of the handler, its method).
    codecs : dict of int -> Codec
        The codec of each message id in `routes`; the router takes the instances that are its worker's own.
    asked : collection of int
        Ids of the messages that have to be decoded before anybody knows whose they are.
    translated : dict of int -> int
        Ids of the messages whose codecs read other layouts, too, before a position: not until they are encoded anew are
        the bytes of those for native receivers.

    Notes
    -----
    Immutable. Serves one worker: the codecs it keeps reuse their views.
    """

    def __cinit__(self, dict routes not None, dict codecs not None, asked=(), dict translated=None):
        routes = {key: tuple(receivers) for key, receivers in routes.items()}
        sources = sorted({source for source, _ in routes})
        messages = sorted({message for _, message in routes})
        private = {message: (<Codec?> codecs[message]).private() for message in messages}
        kept = []
        self.source_limit = max(sources, default=-1) + 1
        self.message_limit = max(messages, default=-1) + 1
        self.message_count = 1 + len(messages)
        self.sources = index_of_ids(sources, self.source_limit)
        self.messages = index_of_ids(messages, self.message_limit)
        self.rows = <Row *> allocate((1 + len(sources)) * self.message_count, sizeof(Row))
        self.entries = <Entry *> allocate(sum(map(len, routes.values())), sizeof(Entry))
        cdef uint32_t used = 0
        cdef Row *row
        for (source, message), handlers in routes.items():
            row = &self.rows[self.sources[<uint16_t> source] * self.message_count + self.messages[<uint16_t> message]]
            row.codec = <PyObject *> private[message]
            row.first = used
            row.count = len(handlers)
            row.asks = message in asked
            row.since = 0 if translated is None else translated.get(message, 0)
            row.is_free = row.is_plain = not row.asks
            for handler, method in handlers:
                self.entries[used].handler = handler
                self.has_natives = self.has_natives or isinstance(method, NativeCall)
                kept.append(fill(&self.entries[used], row, method))
                used += 1
        self.kept = (tuple(private.values()), tuple(kept))

    def __dealloc__(self):
        free(self.sources)
        free(self.messages)
        free(self.rows)
        free(self.entries)

    def receivers(self, source, message):
        """Return how many receivers a message from `source` has here."""
        cdef Row *row = find_row(self, source, message)
        return row.count if row != NULL else 0


cdef object fill(Entry *entry, Row *row, method):
    """Make `entry` call `method`; return what has to live as long."""
    cdef NativeCall native
    if isinstance(method, NativeCall):
        native = <NativeCall> method
        entry.native = native.function
        entry.state = native.state
        entry.outlet = native.outlet
        entry.grant = native.grant
        row.size = native.size
        row.is_plain = False
        return native, None
    row.is_free = False
    if isinstance(method, Batch):
        row.batch = <PyObject *> method
        row.is_plain = False
    function, receiver = method, None
    entry.call = call_function
    if isinstance(method, MethodType):
        function, receiver = method.__func__, method.__self__
        entry.call = call_python_method if type(function) is FunctionType else call_method
        entry.receiver = <PyObject *> receiver
    entry.function = <PyObject *> function
    return function, receiver


cdef void *allocate(size_t count, size_t size) except NULL:
    cdef void *memory = calloc(count + 1, size)
    if memory == NULL:
        raise MemoryError(f"no memory for a routing table of {count} x {size} bytes")
    return memory


cdef uint16_t *index_of_ids(list ids, uint32_t limit) except NULL:
    cdef uint16_t *index = <uint16_t *> allocate(limit, sizeof(uint16_t))
    cdef uint16_t number
    for number, one in enumerate(ids, 1):
        index[<uint16_t> one] = number
    return index
