"""Where segments are kept: files of a folder that nobody else may write to, or memory that has no name."""
cimport cython
from libc.errno cimport EBADF, EEXIST, EINTR, EINVAL, ENOENT, ENOMEM
from libc.stdint cimport int64_t, uint64_t
from libc.stdio cimport snprintf
from libc.stdlib cimport free, malloc, realloc
from posix.unistd cimport getpid

from nanobus.core.atomics cimport atomic_add
from nanobus.core.mutex cimport destroy_mutex, init_mutex, lock_mutex, unlock_mutex
from nanobus.core.steps cimport step
from nanobus.journal.layout cimport SEGMENT_HEADER_SIZE, SegmentHeader
from nanobus.memory.platform cimport (
    close_file, create_at, duplicate, extend, link_at, open_at, open_memory, sync_file, unlink_at
)

import errno
import fcntl
import os
import re
import stat

from nanobus.errors import BusFormatError, MappingError

cdef extern from "<unistd.h>" nogil:
    ssize_t pwrite(int file, const void *bytes, size_t size, int64_t offset)
    int fsync(int file)

cdef extern from "<errno.h>" nogil:
    int errno_of_last_call "errno"

cdef enum:
    NAME_SIZE = 80

SEGMENT_NAME = re.compile(r"([0-9a-f]{16})\.segment")
LEFTOVER_NAME = re.compile(r"\.[0-9a-f]{16}-\d+-\d+\.new")
cdef uint64_t names_made = 0            # so that two threads never make the same temporary name


@cython.final
cdef class SegmentStore:

    def __cinit__(self, path):
        init_mutex(&self.guard, NULL)
        self.folder = self.gatekeeper = -1
        if path is None:
            return
        self.path = os.path.abspath(os.fsdecode(path))
        try:
            os.mkdir(self.path, 0o700)
            sync_folder(os.path.dirname(self.path))
        except FileExistsError:
            pass
        except OSError as error:
            raise refusal(error, "make the journal", self.path) from None
        self.folder = open_folder(self.path)
        try:
            self.gatekeeper = os.open(
                "lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=self.folder
            )
        except OSError as error:
            raise refusal(error, "open the lock of the journal", self.path) from None

    def __dealloc__(self):
        cdef size_t index
        self.close()                    # -1 or a descriptor: `__cinit__` has no base that could fail before
        for index in range(self.held_count):
            close_file(self.held[index].descriptor)
        free(self.held)
        destroy_mutex(&self.guard)

    cdef void close(self) noexcept:
        if self.folder >= 0:
            close_file(self.folder)
            self.folder = -1
        if self.gatekeeper >= 0:
            close_file(self.gatekeeper)
            self.gatekeeper = -1

    # The kernel drops the lock with the last process that has it; several share it, or one has it alone.
    cdef bint lock(self, bint alone) except -1:
        if self.gatekeeper < 0:
            return True
        try:
            fcntl.flock(self.gatekeeper, (fcntl.LOCK_EX if alone else fcntl.LOCK_SH) | fcntl.LOCK_NB)
        except BlockingIOError:
            return False
        except OSError as error:
            raise refusal(error, "lock the journal", self.path) from None
        return True

    cdef void unlock(self) noexcept:
        if self.gatekeeper >= 0:
            try:
                fcntl.flock(self.gatekeeper, fcntl.LOCK_UN)
            except OSError:
                pass                    # the descriptor's end drops it too

    cdef list bases(self):
        """First positions of the segments there are, in order."""
        if self.path is None:
            return self.held_bases()
        try:
            names = os.listdir(self.folder)
        except OSError as error:
            raise refusal(error, "list the journal", self.path) from None
        return sorted([int(match[1], 16) for match in map(SEGMENT_NAME.fullmatch, names) if match])

    cdef list held_bases(self):
        cdef size_t index, count = 0, room = 0
        cdef uint64_t *copied = NULL
        while count >= room:                                # the memory first: nobody may wait while it is found
            room = 2 * count + 8
            free(copied)
            copied = <uint64_t *> malloc(room * sizeof(uint64_t))
            if copied == NULL:
                raise MemoryError(f"no memory for the list of {room} segments")
            lock_mutex(&self.guard)
            count = self.held_count
            for index in range(min(count, room)):
                copied[index] = self.held[index].base
            unlock_mutex(&self.guard)
        try:
            return sorted([copied[index] for index in range(count)])
        finally:
            free(copied)

    def leftovers(self):
        """Names of files that a process was making when it died."""
        return [] if self.path is None else list(filter(LEFTOVER_NAME.fullmatch, os.listdir(self.folder)))

    def discard(self, name):
        os.unlink(name, dir_fd=self.folder)

    cdef int open_segment(self, uint64_t base) noexcept nogil:
        cdef char name[NAME_SIZE]
        cdef size_t index
        cdef int descriptor
        if self.path is None:
            descriptor = -ENOENT
            lock_mutex(&self.guard)
            for index in range(self.held_count):
                if self.held[index].base == base:
                    descriptor = duplicate(self.held[index].descriptor)
            unlock_mutex(&self.guard)
            return descriptor
        write_name(name, base)
        return open_at(self.folder, name)

    cdef int create_segment(self, const SegmentHeader *header, size_t size) noexcept nogil:
        cdef char name[NAME_SIZE]
        cdef char temporary[NAME_SIZE]
        cdef int descriptor, error
        if self.path is None:
            return self.create_held(header, size)
        write_name(name, header.base)
        snprintf(temporary, NAME_SIZE, ".%016llx-%d-%llu.new", <unsigned long long> header.base, getpid(),
                 <unsigned long long> atomic_add(&names_made, 1))
        descriptor = create_at(self.folder, temporary)
        if descriptor < 0:
            return -descriptor
        step()
        error = fill(descriptor, header, size)
        close_file(descriptor)
        step()
        if error == 0:
            error = link_at(self.folder, temporary, name)
        step()
        unlink_at(self.folder, temporary)
        return error

    cdef int create_held(self, const SegmentHeader *header, size_t size) noexcept nogil:
        cdef char name[NAME_SIZE]
        cdef int descriptor, error = 0
        cdef size_t index
        cdef Held *held
        snprintf(name, NAME_SIZE, "nanobus-%d-%llu", getpid(), <unsigned long long> atomic_add(&names_made, 1))
        descriptor = open_memory(name)
        if descriptor < 0:
            return -descriptor
        error = fill(descriptor, header, size)
        lock_mutex(&self.guard)
        for index in range(self.held_count):
            if self.held[index].base == header.base:
                error = EEXIST
        if error == 0 and self.held_count == self.held_room:
            held = <Held *> realloc(self.held, (2 * self.held_room + 8) * sizeof(Held))
            if held == NULL:
                error = ENOMEM
            else:
                self.held = held
                self.held_room = 2 * self.held_room + 8
        if error == 0:
            self.held[self.held_count].base = header.base
            self.held[self.held_count].descriptor = descriptor
            self.held_count += 1
        unlock_mutex(&self.guard)
        if error:
            close_file(descriptor)
        return error

    cdef int remove_segment(self, uint64_t base) noexcept nogil:
        cdef char name[NAME_SIZE]
        cdef size_t index
        cdef int descriptor = -1
        if self.path is None:
            lock_mutex(&self.guard)
            for index in range(self.held_count):
                if self.held[index].base == base:
                    descriptor = self.held[index].descriptor
                    self.held_count -= 1
                    self.held[index] = self.held[self.held_count]
                    break
            unlock_mutex(&self.guard)
            if descriptor < 0:
                return ENOENT
            close_file(descriptor)
            return 0
        write_name(name, base)
        return unlink_at(self.folder, name)

    cdef int sync_segment(self, uint64_t base, bint *refused) noexcept nogil:
        cdef int descriptor, error
        if self.path is None:
            return 0
        descriptor = self.open_segment(base)
        if descriptor < 0:
            return -descriptor
        error = sync_file(descriptor)
        close_file(descriptor)
        refused[0] = error != 0
        return error

    cdef int sync_names(self, bint *refused) noexcept nogil:
        if self.path is None:
            return 0
        if self.folder < 0:
            return EBADF
        if fsync(self.folder) == 0 or errno_of_last_call == EINVAL:
            return 0
        refused[0] = True
        return errno_of_last_call

    cdef int sync_names_or_raise(self) except -1:
        cdef bint refused = False
        cdef int error = self.sync_names(&refused)
        if error:
            raise MappingError(error, f"cannot sync the journal's folder: {os.strerror(error)}", self.path)
        return 0


cdef void write_name(char *name, uint64_t base) noexcept nogil:
    snprintf(name, NAME_SIZE, "%016llx.segment", <unsigned long long> base)


cdef int fill(int descriptor, const SegmentHeader *header, size_t size) noexcept nogil:
    cdef int error = extend(descriptor, SEGMENT_HEADER_SIZE + size)
    if error:
        return error
    step()
    while pwrite(descriptor, header, sizeof(SegmentHeader), 0) != sizeof(SegmentHeader):
        if errno_of_last_call != EINTR:
            return errno_of_last_call
    return 0


cdef int sync_folder(str path) except -1:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:                     # a file system that cannot
            raise
    finally:
        os.close(descriptor)
    return 0


cdef object refusal(error, str wanted, str path):
    return MappingError(error.errno, f"cannot {wanted}: {os.strerror(error.errno)}", path)


def open_folder(str path not None):
    """Return a descriptor of a journal's folder that nobody but its user can have written to.

    Raises
    ------
    MappingError
        The operating system refused; EPERM: it belongs to somebody else, or others may write to it.
    BusFormatError
        It is no folder, or a symbolic link to one.
    """
    try:
        folder = os.open(path, os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in (errno.ENOTDIR, errno.ELOOP):
            raise BusFormatError(f"{path!r} must be a folder, and no symbolic link to one") from None
        raise refusal(error, "open the journal", path) from None
    status = os.fstat(folder)
    rule = None
    if status.st_uid != os.geteuid():
        rule = f"a journal must belong to its user {os.geteuid()}, got {status.st_uid}"
    elif status.st_mode & (stat.S_IWGRP | stat.S_IWOTH):
        rule = f"a journal must not be writable by other users, got mode {stat.filemode(status.st_mode)}"
    if rule is not None:
        os.close(folder)
        raise MappingError(errno.EPERM, rule, path)
    return folder
