"""The end of a child whose parent is gone, also while one of its handlers holds the GIL."""
from libc.errno cimport EINTR, errno
from posix.unistd cimport _exit, getppid


cdef extern from "<poll.h>" nogil:
    struct pollfd:
        int fd
        short events
        short revents
    enum:
        POLLIN
    int poll(pollfd *descriptors, unsigned long count, int timeout)


def end_with_parent(int stream, end, int parent, int code):
    """Wait until the parent is gone, then end this process at once with an exit code.

    Needs no GIL meanwhile, and runs nothing of the interpreter's end. For a thread of its own.

    Parameters
    ----------
    stream : int
        Descriptor of a socket whose other end the parent has.
    end : int or None
        Descriptor that is readable once the parent has ended: a copy of the stream may outlive it.
    parent : int
        Process id: who is no child of it any more was too late to ask for its `end`.
    code : int
        Exit code.
    """
    cdef pollfd[2] signs
    signs[0].fd = stream
    signs[0].events = 0                         # the end is told in any case
    signs[1].fd = -1 if end is None else end    # a negative one is passed over
    signs[1].events = POLLIN
    signs[0].revents = signs[1].revents = 0
    with nogil:
        while getppid() == parent and (poll(signs, 2, -1) >= 0 or errno == EINTR):
            if signs[0].revents or signs[1].revents:
                break
        _exit(code)
