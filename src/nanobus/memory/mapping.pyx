"""Mapped memory owned by one object: exported as a buffer, closed once, unmapped when the last reference is gone."""
from cpython.buffer cimport (
    PyBUF_FORMAT, PyBUF_ND, PyBUF_SIMPLE, PyBUF_STRIDES, PyBuffer_Release, PyObject_GetBuffer,
)
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize
from cpython.object cimport PyObject
from libc.errno cimport EBADF, ENOMEM, ERANGE
from libc.stdint cimport uint8_t
from libc.string cimport memcpy, memmove

from nanobus.memory.platform cimport map_private, page_size, unmap
from nanobus.memory.platform cimport round_to_pages as whole_pages

import operator
import os

from nanobus.errors import BusClosedError, MappingError

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX
    Py_ssize_t clipped "PyNumber_AsSsize_t"(object value, PyObject *no_error) except? -1

cdef enum:
    LONG_COPY = 8192        # bytes from which on a copy takes longer than giving the GIL away and back

cdef char *UNSIGNED_BYTES = "B"


cdef class Mapping:
    """A range of mapped bytes, writable, exported as a one-dimensional buffer of unsigned bytes.

    Abstract: make one of its subclasses. The bytes belong to this object. They stay mapped until `close`, or until
    neither the object nor a view of it is referenced any more. It is also a context manager that closes.

    Attributes
    ----------
    size : int
        Bytes mapped, and exported by the buffer protocol.
    exports : int
        Buffers (memoryviews, arrays) handed out and not yet released.
    closed : bool
        Whether the bytes are gone; using them then raises BusClosedError.

    Notes
    -----
    Safe to use from any thread. The bytes themselves are shared memory: who reads what another thread is writing may
    see some of it.
    """

    def __cinit__(self):
        if type(self) is Mapping:
            raise TypeError("Mapping is abstract: make an AnonymousMapping, a GrowableMapping or a RingMapping")

    def __dealloc__(self):
        if self.address != NULL:
            unmap(self.address, self.mapped)

    def __len__(self):
        self.check_open()
        return self.size

    def __repr__(self):
        return f"<{type(self).__qualname__} of {self.size} bytes{', closed' if self.closed else ''}>"

    def __enter__(self):
        self.check_open()
        return self

    def __exit__(self, *exception):
        self.close()

    def __getbuffer__(self, Py_buffer *buffer, int flags):
        with self.guard:
            buffer.buf = self.address
            buffer.len = self.size
            if self.address != NULL:
                self.exports += 1
        if buffer.buf == NULL:
            self.check_open()
        buffer.obj = self
        buffer.readonly = 0
        buffer.itemsize = 1
        buffer.ndim = 1
        buffer.format = UNSIGNED_BYTES if flags & PyBUF_FORMAT else NULL
        buffer.shape = &buffer.len if flags & PyBUF_ND else NULL
        buffer.strides = &buffer.itemsize if (flags & PyBUF_STRIDES) == PyBUF_STRIDES else NULL
        buffer.suboffsets = NULL
        buffer.internal = NULL

    def __releasebuffer__(self, Py_buffer *buffer):
        with self.guard:
            self.exports -= 1

    @property
    def closed(self):
        """Whether the bytes are gone."""
        return self.address == NULL

    def close(self):
        """Unmap the bytes now; closing again does nothing.

        Raises
        ------
        BufferError
            Views of the bytes are still exported. The mapping stays as it was.
        """
        while not self.unmapped():
            self.check_no_exports("close")      # returns if released just now

    def read(self, offset, size):
        """Copy `size` bytes from `offset` on.

        Parameters
        ----------
        offset, size : int
            In bytes; both within the mapping.

        Returns
        -------
        bytes

        Raises
        ------
        ValueError
            The range leaves the mapping.
        BusClosedError
            The mapping is closed.
        """
        cdef Py_ssize_t start = clipped(offset, NULL)
        cdef Py_ssize_t length = clipped(size, NULL)
        cdef bytes copied
        cdef uint8_t *target
        cdef int error
        if length < 0 or <size_t> length > self.mapped:
            self.check_copied(ERANGE, offset, size)
        copied = PyBytes_FromStringAndSize(NULL, length)
        target = <uint8_t *> PyBytes_AS_STRING(copied)
        if length < LONG_COPY:
            error = self.copy_out(start, length, target)
        else:
            with nogil:
                error = self.copy_out(start, length, target)
        self.check_copied(error, offset, size)
        return copied

    def write(self, offset, data):
        """Copy `data` to `offset` and what follows it.

        Parameters
        ----------
        offset : int
            In bytes.
        data : bytes-like
            Any C-contiguous buffer, of any item type; a view of this very mapping too. It must end within the mapping.

        Raises
        ------
        ValueError
            The range leaves the mapping. Nothing was written.
        BusClosedError
            The mapping is closed.
        """
        cdef Py_ssize_t start = clipped(offset, NULL)
        cdef Py_buffer source
        cdef int error
        PyObject_GetBuffer(data, &source, PyBUF_SIMPLE)
        try:
            if source.len < LONG_COPY:
                error = self.copy_in(start, source.len, <const uint8_t *> source.buf)
            else:
                with nogil:
                    error = self.copy_in(start, source.len, <const uint8_t *> source.buf)
            self.check_copied(error, offset, source.len)
        finally:
            PyBuffer_Release(&source)

    cdef bint unmapped(self) noexcept:
        cdef uint8_t *address = NULL
        with self.guard:
            if self.exports:
                return False
            address = self.address
            if address == NULL:
                return True
            self.address = NULL
            self.let_go()
        with nogil:
            unmap(address, self.mapped)
        return True

    cdef int copy_out(self, Py_ssize_t offset, Py_ssize_t size, uint8_t *target) noexcept nogil:
        with self.guard:
            if self.address == NULL:
                return EBADF
            if not within(offset, size, self.mapped):
                return ERANGE
            memcpy(target, self.address + offset, size)
        return 0

    cdef int copy_in(self, Py_ssize_t offset, Py_ssize_t size, const uint8_t *source) noexcept nogil:
        with self.guard:
            if self.address == NULL:
                return EBADF
            if not within(offset, size, self.mapped):
                return ERANGE
            memmove(self.address + offset, source, size)
        return 0

    cdef int check_copied(self, int error, object offset, object size) except -1:
        if error:
            self.check_open()
            raise ValueError(f"offset and offset + size must be in 0..{self.mapped}, got offset {offset}, size {size}")
        return 0

    cdef int check_open(self) except -1:
        if self.address == NULL:
            raise BusClosedError(f"this {type(self).__qualname__} is closed")
        return 0

    cdef int check_no_exports(self, str wanted) except -1:
        cdef Py_ssize_t exports = self.exports
        if exports:
            views = "1 view of it is" if exports == 1 else f"{exports} views of it are"
            raise BufferError(f"cannot {wanted} while {views} exported")
        return 0

    cdef void let_go(self) noexcept:
        pass


cdef class AnonymousMapping(Mapping):
    """Private memory of no file, zeroed. A forked child gets its own copy.

    Parameters
    ----------
    size : int
        Bytes wanted, at least 1. The mapping, and its `size`, is the next multiple of the page size.

    Raises
    ------
    ValueError
        `size` is below 1.
    MappingError
        The system refused; `errno` says why.
    """

    def __cinit__(self, size):
        cdef size_t wanted = whole_pages(checked_size("size", size))
        cdef int error = map_private(&self.address, wanted)
        if error:
            raise mapping_error(error, f"map {wanted} bytes", None)
        self.size = self.mapped = wanted


def round_to_pages(size):
    """Round `size`, in bytes and at least 1, up to a multiple of the page size."""
    return whole_pages(checked_size("size", size))


cdef bint within(Py_ssize_t offset, Py_ssize_t size, size_t limit) noexcept nogil:
    return offset >= 0 and size >= 0 and <size_t> offset <= limit and <size_t> size <= limit - <size_t> offset


cdef size_t checked_size(str name, object value) except 0:
    try:
        size = operator.index(value)
    except TypeError:
        raise TypeError(f"{name} must be an int, got {value!r}") from None
    if size < 1:
        raise ValueError(f"{name} must be >= 1, got {size}")
    if size > PY_SSIZE_T_MAX - page_size():
        raise mapping_error(ENOMEM, f"map {size} bytes", None)
    return size


cdef object mapping_error(int error, str wanted, str path):
    text = f"cannot {wanted}: {os.strerror(error)}"
    return MappingError(error, text) if path is None else MappingError(error, text, path)
