from libc.stdint cimport uint8_t

from nanobus.memory.growable cimport GrowingMapping

# What nogil code has of a file: the first `size` bytes of it, mapped. All zero: nothing.
cdef struct Window:
    int descriptor                      # owned
    uint8_t *address
    size_t size                         # may be touched: never more than the file has
    size_t room                         # mapped: what is past the file's end must not be touched

# Map what the file has, at most `most` bytes; the window owns `descriptor` from then on, on failure too. ENODATA: the
# file has less than `least`.
cdef int open_window(Window *window, int descriptor, size_t least, size_t most) noexcept nogil
# Have `size` bytes mapped, extending the file first if it is shorter and `may_extend`. The mapping itself grows in
# larger steps, up to `most` bytes, for each step may move it. ENODATA: the file is shorter. On failure the window stays
# as it was.
cdef int widen_window(Window *window, size_t size, size_t most, bint may_extend) noexcept nogil
cdef void close_window(Window *window) noexcept nogil


cdef class FileMapping(GrowingMapping):
    cdef readonly str path              # absolute
    cdef readonly bint created          # its bytes are new and zero
    cdef int descriptor

    cdef int check_file(self) except -1
