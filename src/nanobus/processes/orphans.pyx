"""The end of a child whose parent is gone, also while one of its handlers holds the GIL."""
from libc.errno cimport EINTR, errno
from posix.unistd cimport _exit


cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    int poll(pollfd *descriptors, unsigned long count, int timeout)


def end_when_closed(int descriptor, int code):
    """Wait until the other end of a stream is closed, then end this process at once with an exit code.

    Needs no GIL meanwhile, and runs nothing of the interpreter's end. For a thread of its own.
    """
    cdef pollfd stream
    stream.fd = descriptor
    stream.events = 0                           # the end is told in any case
    stream.revents = 0
    with nogil:
        while poll(&stream, 1, -1) >= 0 or errno == EINTR:
            if stream.revents:
                _exit(code)
