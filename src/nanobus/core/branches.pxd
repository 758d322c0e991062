"""Which way a branch goes nearly always, so that the compiler keeps the rest out of the hot path and its registers."""


cdef extern from *:
    """
    #ifndef NANOBUS_BRANCHES
    #define NANOBUS_BRANCHES
    #define nb_rarely(condition) __builtin_expect(!!(condition), 0)
    #endif
    """
    bint rarely "nb_rarely"(bint condition) noexcept nogil
