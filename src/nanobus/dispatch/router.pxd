"""The vtable of a worker: dense source index x dense message index -> a row of entries.

    sources[source] ----+
                        +--> rows[source index * message count + message index] --> entries[first .. first + count)
    messages[message] --+                                                            (function pointer, object)

Ids nobody routes have index 0, whose rows have no entries, and a row without entries is no row: `find_row` says NULL,
without the GIL. Two bytes an id up to the highest one used, 48 bytes a row, 64 an entry; a look-up costs the same
however many there are.
"""
from cpython.object cimport PyObject
from libc.stdint cimport uint16_t, uint32_t, uint64_t

from nanobus.dispatch.native cimport NativeFunction
from nanobus.dispatch.permits cimport Grant

cdef struct Entry:
    # Deliver `message`; NULL with a Python error set, or a new reference to be dropped.
    PyObject *(*call)(Entry *entry, PyObject *message) noexcept
    PyObject *function
    PyObject *receiver                  # NULL: `function` takes the message alone
    NativeFunction native               # a native receiver, which needs none of these; NULL: a Python one
    void *state
    void *outlet
    Grant *grant
    uint32_t handler                    # index in the worker's handlers

cdef struct Row:
    uint32_t first
    uint32_t count
    PyObject *codec
    uint32_t size                       # bytes a payload must have for native receivers; 0: any number of them
    bint asks                           # only the decoded message can tell whose it is; see division.pxd
    bint is_free                        # every receiver is native, and nothing else here needs the GIL
    bint is_plain                       # every receiver is in Python and takes them one by one, whatever the key
    PyObject *batch                     # of the one receiver, which takes several at once; NULL: one by one
    uint64_t since                      # messages before it may have older layouts, which the codec reads


cdef inline bint runs_freely(const Row *row, uint64_t position, uint32_t size) noexcept nogil:
    """Whether a message of `size` bytes can be handled without the GIL."""
    return row.is_free and position >= row.since and (row.size == 0 or row.size == size)


cdef class Router:
    cdef uint16_t *sources
    cdef uint16_t *messages
    cdef Row *rows
    cdef Entry *entries
    cdef uint32_t source_limit          # ids at or past these have no index
    cdef uint32_t message_limit
    cdef uint32_t message_count         # with the one that nobody routes
    cdef bint has_natives
    cdef readonly tuple kept            # the objects behind every pointer


cdef inline Row *find_row(Router router, uint16_t source, uint16_t message) noexcept nogil:
    cdef Row *row
    if source >= router.source_limit or message >= router.message_limit:
        return NULL
    row = &router.rows[<size_t> router.sources[source] * router.message_count + router.messages[message]]
    return row if row.count else NULL


# A table of `limit` ids: of each in `ids` its index, counted from 1, of any other 0. The caller's to free.
cdef uint16_t *index_of_ids(list ids, uint32_t limit) except NULL
