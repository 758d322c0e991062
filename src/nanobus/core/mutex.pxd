"""A lock for some lines of C, taken with or without the GIL, while nobody holding it runs Python code.

Not Cython's `pymutex`: who waits for that gives the GIL away and leaves its critical sections, and nobody may come in
between while a writer opens a segment for its claim.
"""


cdef extern from "<pthread.h>" nogil:
    ctypedef struct Mutex "pthread_mutex_t":
        pass
    int init_mutex "pthread_mutex_init"(Mutex *mutex, const void *attributes)
    int lock_mutex "pthread_mutex_lock"(Mutex *mutex)
    int unlock_mutex "pthread_mutex_unlock"(Mutex *mutex)
    int destroy_mutex "pthread_mutex_destroy"(Mutex *mutex)
