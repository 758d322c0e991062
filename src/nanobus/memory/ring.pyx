"""A control block and a ring in one shareable file, the ring mapped twice back to back so that nothing is ever split.

    address          ring                   ring + capacity
    | control block  | ring                 | the same ring again  |      address space: control_size + 2 * capacity
    +----------------+----------------------+----------------------+
    | control block  | ring                 |                             file: control_size + capacity = `size`

A file at a path appears there complete or not at all:

    nobody was first:   unnamed file -> sized, mapped -> the caller writes the control block -> publish() names it
    somebody was:       publish() is False -> close this mapping, construct again -> attached
"""
from libc.errno cimport EBADF, EEXIST, ENOENT, ENOMEM, EOPNOTSUPP, EPERM
from libc.stdint cimport uint8_t
from posix.unistd cimport getpid

from nanobus.memory.mapping cimport Mapping, checked_size, mapping_error
from nanobus.memory.platform cimport (
    allocate, close_file, duplicate, exceeds_memory, fill_holes, link_named, link_unnamed, map_file, open_existing,
    open_memory, open_new, open_unnamed, page_size, reserve, seal_size, unlink_named, unmap,
)

import os
import stat

from nanobus.errors import BusFormatError, MappingError

cdef extern from "Python.h":
    const Py_ssize_t PY_SSIZE_T_MAX

cdef enum:
    SMALLEST_CAPACITY = 4096


cdef class RingMapping(Mapping):
    """A control block and a ring that many processes map; `ring[i]` and `ring[i + capacity]` are the same byte.

    Parameters
    ----------
    capacity : int or None
        Bytes of the ring: a power of two, at least 4096 and at least the page size. None: as large as the file at
        `path`, which must exist.
    control_size : int
        Bytes of the control block: a positive multiple of the page size.
    path : str or path-like, optional
        Attach to this file if it exists, else make new bytes that `publish` gives this name. None: anonymous memory,
        which nobody can resize.
    descriptor : int, optional
        Map the bytes behind this descriptor, which some other process has made; it stays the caller's. `path` is then
        only their name.

    Attributes
    ----------
    size : int
        control_size + capacity: the bytes that exist, and that the buffer protocol exports. `read` and `write` reach
        `capacity` bytes further, into the second sight of the ring.
    created : bool
        Whether the bytes are new and zero: who made them writes the control block, then calls `publish`.
    path : str or None
        Absolute.

    Raises
    ------
    ValueError
        `capacity`, `control_size` or `path` breaks a rule above.
    BusFormatError
        There is something else at `path`: no regular file, or one of another size.
    MappingError
        The system refused; `errno` says why. ENOENT: no file to take the capacity from. EPERM: the file belongs to
        another user, or others may write to it. ENOMEM, ENOSPC: no room; every byte is allocated here, so that there
        is no SIGBUS later.

    Notes
    -----
    Safe to use from any thread. New files can be read and written by their owner only. Who may write to a file may
    also truncate it, which ends the processes that have it mapped. Where a file cannot be unnamed (outside Linux, and
    on some file systems) a process that dies before `publish` leaves a `.nanobus-*` file in the directory.
    """

    def __cinit__(self, capacity, control_size, path=None, descriptor=None):
        cdef int error
        self.descriptor = -1
        self.maker = getpid()
        self.control_size = checked_control_size(control_size)
        if capacity is not None:
            self.capacity = checked_capacity(capacity, self.control_size)
            self.size = self.control_size + self.capacity
        if path is not None:
            self.path = checked_path(path)
        if descriptor is not None:
            self.inherit(descriptor)
        elif path is None:
            self.open_anonymous()
        elif not self.attach():
            self.open_unpublished()
        error = self.map_twice()
        if error:
            raise mapping_error(error, f"map {self.size} bytes, {self.capacity} of them twice", self.path)

    def __dealloc__(self):
        self.let_go()

    def publish(self):
        """Give the new bytes their name, `path`, for others to attach to.

        Returns
        -------
        bool
            False: there is a file of that name already. Close this mapping and construct it again to attach.

        Raises
        ------
        ValueError
            The bytes are not new, or have no path.
        MappingError
            The system refused; `errno` says why.
        BusClosedError
            The mapping is closed.
        """
        cdef bytes path
        cdef const char *name
        cdef const char *temporary = NULL
        cdef int error = 0
        self.check_open()
        if self.path is None or not self.created:
            raise ValueError(f"only new bytes with a path can be published, got {self!r}, path {self.path!r}")
        path = os.fsencode(self.path)
        name = path
        if self.temporary is not None:
            temporary = self.temporary
        with self.guard:
            if self.address == NULL:
                error = EBADF
            elif not self.published:
                if temporary == NULL:
                    error = link_unnamed(self.descriptor, name)
                else:
                    error = link_named(temporary, name)
                    if error == 0:
                        unlink_named(temporary)
                self.published = error == 0
        if error:
            self.check_open()
            if error == EEXIST:
                return False
            raise mapping_error(error, "publish the ring", self.path)
        return True

    cdef int open_anonymous(self) except -1:
        cdef int error
        if self.capacity == 0:
            raise ValueError("capacity must be given where no path names a file to take it from, got None")
        self.created = True
        if exceeds_memory(self.size):
            raise mapping_error(ENOMEM, f"allocate {self.size} bytes", None)
        self.descriptor = open_memory(random_name())
        if self.descriptor < 0:
            raise mapping_error(-self.descriptor, "open anonymous memory", None)
        self.allocate_file()
        error = seal_size(self.descriptor)
        if error:
            raise mapping_error(error, "seal the size of anonymous memory", None)

    cdef bint attach(self) except -1:
        cdef bytes name = os.fsencode(self.path)
        cdef int error
        self.descriptor = open_existing(name)
        if self.descriptor == -ENOENT:
            if self.capacity == 0:
                raise MappingError(ENOENT, "there is no ring to attach to, and no capacity to make one", self.path)
            return False
        if self.descriptor < 0:
            check_regular(self.path)
            raise mapping_error(-self.descriptor, "attach", self.path)
        self.check_size()
        self.check_owner()
        with nogil:
            error = fill_holes(self.descriptor, self.size)
        if error:
            raise mapping_error(error, f"allocate {self.size} bytes", self.path)
        return True

    cdef int inherit(self, int descriptor) except -1:
        self.descriptor = duplicate(descriptor)
        if self.descriptor < 0:
            raise mapping_error(-self.descriptor, f"duplicate the inherited descriptor {descriptor}", self.path)
        self.check_size()

    cdef int check_owner(self) except -1:
        status = os.fstat(self.descriptor)
        user, mode = os.geteuid(), stat.filemode(status.st_mode)
        if status.st_uid != user:
            raise MappingError(EPERM, f"a ring must belong to its user {user}, got {status.st_uid}", self.path)
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise MappingError(EPERM, f"a ring must not be writable by other users, got mode {mode}", self.path)

    cdef int check_size(self) except -1:
        status = os.fstat(self.descriptor)
        capacity = status.st_size - self.control_size
        name = "anonymous memory" if self.path is None else repr(self.path)
        check_kind(name, status.st_mode)
        if self.capacity and status.st_size != self.size:
            raise BusFormatError(
                f"{name} must have {self.size} bytes, {self.control_size} of them control block, "
                f"got {status.st_size}"
            )
        if not is_capacity(capacity):
            raise BusFormatError(
                f"{name} must have {self.control_size} bytes of control block and a power of two >= "
                f"{smallest_capacity()} of ring, got {status.st_size} bytes"
            )
        self.capacity = capacity
        self.size = self.control_size + self.capacity

    cdef int open_unpublished(self) except -1:
        cdef str folder = os.path.dirname(self.path)
        cdef bytes name = os.fsencode(folder)
        self.created = True
        self.descriptor = open_unnamed(name)
        if self.descriptor == -EOPNOTSUPP:
            name = os.fsencode(os.path.join(folder, "." + random_name().decode()))
            self.descriptor = open_new(name)
            if self.descriptor >= 0:
                self.temporary = name
        if self.descriptor < 0:
            raise mapping_error(-self.descriptor, "make a new file beside", self.path)
        self.allocate_file()

    cdef int allocate_file(self) except -1:
        cdef int error
        with nogil:
            error = allocate(self.descriptor, self.size)
        if error:
            raise mapping_error(error, f"allocate {self.size} bytes", self.path)

    cdef int map_twice(self) noexcept nogil:
        cdef size_t mapped = self.size + self.capacity
        cdef uint8_t *address = NULL
        cdef int error = reserve(&address, mapped)
        if error:
            return error
        error = map_file(address, self.size, self.descriptor, 0)
        if error == 0:
            error = map_file(address + self.size, self.capacity, self.descriptor, self.control_size)
        if error:
            unmap(address, mapped)
            return error
        self.mapped = mapped
        self.address = address
        self.ring = address + self.control_size
        return 0

    cdef void let_go(self) noexcept:
        if self.descriptor > 0:         # 0: `__cinit__` never ran
            close_file(self.descriptor)
            self.descriptor = -1
        self.ring = NULL
        if self.temporary is not None and not self.published and self.maker == getpid():
            unlink_named(self.temporary)
            self.maker = 0


cdef size_t checked_control_size(object value) except 0:
    cdef size_t size = checked_size("control_size", value)
    if size % page_size():
        raise ValueError(f"control_size must be a multiple of the page size {page_size()}, got {size}")
    return size


cdef size_t checked_capacity(object value, size_t control_size) except 0:
    cdef size_t capacity = checked_size("capacity", value)
    if not is_capacity(capacity):
        raise ValueError(f"capacity must be a power of two >= {smallest_capacity()}, got {capacity}")
    if capacity > (<size_t> PY_SSIZE_T_MAX - control_size) // 2:
        raise mapping_error(ENOMEM, f"map {capacity} bytes twice", None)
    return capacity


cdef bint is_capacity(object value) except -1:
    return value >= smallest_capacity() and value & (value - 1) == 0


cdef size_t smallest_capacity() noexcept nogil:
    return max(page_size(), <size_t> SMALLEST_CAPACITY)


cdef str checked_path(object value):
    """Absolute, so that a change of the working directory before `publish` changes nothing."""
    path = os.fsdecode(value)
    if not path:
        raise ValueError("path must not be empty, got ''")
    if "\0" in path:
        raise ValueError(f"path must not contain a null character, got {path!r}")
    return os.path.join(os.getcwd(), path)


cdef int check_regular(str path) except -1:
    """Say what kind of file could not be opened, where its kind is the reason."""
    try:
        status = os.lstat(path)
    except OSError:
        return 0
    check_kind(repr(path), status.st_mode)


cdef int check_kind(str name, mode) except -1:
    if not stat.S_ISREG(mode):
        kinds = {stat.S_IFDIR: "a directory", stat.S_IFLNK: "a symbolic link", stat.S_IFIFO: "a FIFO",
                 stat.S_IFSOCK: "a socket"}
        raise BusFormatError(f"{name} must be a regular file, it is {kinds.get(stat.S_IFMT(mode), 'a device')}")
    return 0


cdef bytes random_name():
    return b"nanobus-" + os.urandom(8).hex().encode()
