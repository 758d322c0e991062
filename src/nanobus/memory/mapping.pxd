from libc.stdint cimport uint8_t

cimport cython


cdef class Mapping:
    """A range of mapped bytes. Subclasses map in `__cinit__`; this base exports, closes and unmaps.

    `guard` protects every member against close and growth; no Python code runs while it is held. C code that reads
    `address` without it must know that nobody closes or grows the mapping meanwhile.
    """
    cdef uint8_t *address               # NULL once closed
    cdef readonly size_t size           # bytes at `address`
    cdef readonly Py_ssize_t exports    # buffers handed out and not yet released
    cdef size_t mapped                  # bytes of address space at `address`: what read and write may reach
    cdef cython.pymutex guard
    cdef object __weakref__

    cdef int check_open(self) except -1
    cdef int check_no_exports(self, str wanted) except -1   # BufferError: "cannot <wanted> while ..."
    cdef bint unmapped(self) noexcept                       # False: not while views are exported
    cdef int copy_out(self, Py_ssize_t offset, Py_ssize_t size, uint8_t *target) noexcept nogil
    cdef int copy_in(self, Py_ssize_t offset, Py_ssize_t size, const uint8_t *source) noexcept nogil
    cdef int check_copied(self, int error, object offset, object size) except -1
    cdef void let_go(self) noexcept     # what a subclass holds besides the memory; called once unmapped, under `guard`


cdef class AnonymousMapping(Mapping):
    pass


cdef size_t checked_size(str name, object value) except 0   # an int >= 1; MappingError(ENOMEM) if it is absurd
cdef object mapping_error(int error, str wanted, str path)  # a MappingError: "cannot <wanted>: <why>"
