"""Files that are mapped and grow: their blocks are allocated before a byte of them is touched, so that a full disk is
an error and never a signal.
"""
cimport cython
from libc.errno cimport EEXIST, ENODATA, ENOENT, EPERM
from libc.stdint cimport int64_t

from nanobus.memory.growable cimport GrowingMapping
from nanobus.memory.mapping cimport checked_size, mapping_error
from nanobus.memory.platform cimport (
    CAN_FILL_HOLES, close_file, extend, file_size, fill_holes, map_shared, open_existing, open_new, populate,
    remap_shared, round_to_pages, sync_file
)
from nanobus.memory.sights cimport close_sight, open_sight

import os
import stat

from nanobus.errors import BusFormatError, MappingError

FILLS_HOLES = bool(CAN_FILL_HOLES)      # whether a copy with holes gets its blocks before it is written to


cdef int open_window(Window *window, int descriptor, size_t least, size_t most) noexcept nogil:
    cdef int64_t length = file_size(descriptor)
    cdef size_t size = 0, room = 0
    cdef int error = 0
    window.descriptor = descriptor
    window.address = NULL
    window.size = window.room = 0
    if length < 0:
        error = <int> -length
    else:
        size = min(most, <size_t> length)
        if size < least:
            error = ENODATA
        else:
            room = round_to_pages(size)
            error = open_sight(&window.address, &room, round_to_pages(most), descriptor)
    if error:
        close_window(window)
    else:
        window.size = size
        window.room = room
    return error


cdef int widen_window(Window *window, size_t size, size_t most, bint may_extend) noexcept nogil:
    cdef size_t wanted = round_to_pages(size) if may_extend else size
    cdef size_t before = window.size
    cdef size_t room
    cdef int error
    if wanted <= before:
        return 0
    if file_size(window.descriptor) < <int64_t> wanted:
        if not may_extend:
            return ENODATA
        error = extend(window.descriptor, wanted)
        if error:
            return error
    if wanted > window.room:
        room = max(round_to_pages(wanted), min(round_to_pages(most), 2 * window.room))
        error = remap_shared(&window.address, window.room, room, window.descriptor)
        if error:
            return error
        window.room = room
    window.size = wanted
    if may_extend:
        populate(window.address + before, wanted - before)
    return 0


cdef void close_window(Window *window) noexcept nogil:
    if window.address != NULL:
        close_sight(window.address, window.room)
        window.address = NULL
        window.size = window.room = 0
    if window.descriptor > 0:
        close_file(window.descriptor)
        window.descriptor = 0


@cython.final
cdef class FileMapping(GrowingMapping):
    """A whole file, mapped and shared with everybody who maps it; it can grow.

    Parameters
    ----------
    path : str or path-like
        Made with mode 0600 if it does not exist and `size` is given. Never followed if it is a symbolic link.
    size : int, optional
        Bytes wanted, at least 1. The mapping is the next multiple of the page size; a shorter file is extended with
        zeros, a longer one is mapped whole. None: as large as the file is.

    Attributes
    ----------
    path : str
        Absolute.
    created : bool
        Whether the file is new, its bytes zero.

    Raises
    ------
    ValueError
        `size` is below 1.
    BusFormatError
        There is no regular file at `path`, or an empty one.
    MappingError
        The system refused; `errno` says why. EPERM: the file belongs to another user, or others may write to it.
        ENOSPC, EDQUOT, EFBIG: no room; every block is allocated here, so that there is no SIGBUS later.

    Notes
    -----
    Who may write to the file may also truncate it, which ends the processes that have it mapped.
    """

    def __cinit__(self, path, size=None):
        cdef size_t wanted = 0 if size is None else round_to_pages(checked_size("size", size))
        cdef bytes name
        cdef int error
        self.descriptor = -1
        self.path = os.path.abspath(os.fsdecode(path))
        name = os.fsencode(self.path)
        self.descriptor = open_existing(name)
        if self.descriptor == -ENOENT and wanted:
            self.descriptor = open_new(name)
            self.created = self.descriptor >= 0
            if self.descriptor == -EEXIST:
                self.descriptor = open_existing(name)
        if self.descriptor < 0:
            error, self.descriptor = -self.descriptor, -1
            if os.path.islink(self.path):
                raise BusFormatError(f"{self.path!r} must be a regular file, it is a symbolic link")
            raise mapping_error(error, "open", self.path)
        wanted = max(wanted, <size_t> self.check_file())
        error = extend(self.descriptor, wanted)
        if not error and not self.created:
            error = fill_holes(self.descriptor, wanted)                 # a copy may have some
        if not error:
            error = map_shared(&self.address, wanted, self.descriptor)
        if error:
            raise mapping_error(error, f"map {wanted} bytes", self.path)
        self.size = self.mapped = wanted

    def __dealloc__(self):
        self.let_go()

    def sync(self):
        """Return once everything written so far is on the disk.

        Raises
        ------
        MappingError
            The system could not write; `errno` says why.
        BusClosedError
            The mapping is closed.
        """
        cdef int error
        self.check_open()
        with nogil:
            error = sync_file(self.descriptor)
        if error:
            self.check_open()
            raise mapping_error(error, "sync", self.path)

    cdef int check_file(self) except -1:
        """Return the size of the file, once it is one that may be mapped."""
        status = os.fstat(self.descriptor)
        user, mode = os.geteuid(), stat.filemode(status.st_mode)
        if not stat.S_ISREG(status.st_mode):
            raise BusFormatError(f"{self.path!r} must be a regular file, its mode is {mode}")
        if status.st_uid != user:
            raise MappingError(EPERM, f"the file must belong to its user {user}, got {status.st_uid}", self.path)
        if status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
            raise MappingError(EPERM, f"the file must not be writable by other users, got mode {mode}", self.path)
        if status.st_size == 0 and not self.created:
            raise BusFormatError(f"{self.path!r} must not be empty")
        return status.st_size

    cdef int enlarge(self, size_t wanted) noexcept nogil:
        cdef Window window
        cdef int error
        window.descriptor = self.descriptor
        window.address = self.address
        window.size = window.room = self.size
        error = widen_window(&window, wanted, wanted, True)
        self.address = window.address
        self.size = self.mapped = window.size
        return error

    cdef object origin(self):
        return self.path

    cdef void let_go(self) noexcept:
        if self.descriptor > 0:             # 0: `__cinit__` never ran
            close_file(self.descriptor)
            self.descriptor = -1
