"""What a forked child does with the buses it inherits: it lets go of them, and opens its own. See forking.pxd."""
import os
import threading

cimport cython
from libc.stdint cimport uint64_t

from nanobus.bus.base cimport Bus, BusHandle, open_buses
from nanobus.bus.claims cimport Claims
from nanobus.core.mutex cimport Mutex, init_mutex, lock_mutex, unlock_mutex


cdef extern from "<pthread.h>" nogil:
    int pthread_atfork(void (*prepare)() noexcept, void (*parent)() noexcept, void (*child)() noexcept)


cdef Tie *first_tie = NULL
cdef Mutex ties_lock                    # held across a fork, so that the child finds the list in order
cdef set opened_files = set()           # (device, inode) of every file this program has opened
cdef object opening = object()          # its critical section: one thread at a time looks, disowns and remembers


cdef void tie(Tie *self, void **line, void *instead, uint64_t *key) noexcept nogil:
    global first_tie
    self.line = line
    self.instead = instead
    self.key = key
    lock_mutex(&ties_lock)
    self.next = first_tie
    self.place = &first_tie
    if first_tie != NULL:
        first_tie.place = &self.next
    first_tie = self
    unlock_mutex(&ties_lock)


cdef void untie(Tie *self) noexcept nogil:
    if self.place == NULL:
        return
    lock_mutex(&ties_lock)
    self.place[0] = self.next
    if self.next != NULL:
        self.next.place = self.place
    self.place = NULL
    unlock_mutex(&ties_lock)


cdef void hold_ties() noexcept nogil:
    lock_mutex(&ties_lock)


cdef void resume_ties() noexcept nogil:
    unlock_mutex(&ties_lock)


cdef void let_go() noexcept nogil:
    """In the child, inside fork(): stores only, for nothing else is safe here."""
    cdef Tie *one = first_tie
    while one != NULL:
        if one.line[0] != one.instead:
            one.line[0] = one.instead
            if one.key != NULL:
                one.key[0] = ~one.key[0]
        one = one.next
    unlock_mutex(&ties_lock)


cdef int disown_former_lines(Claims *claims, int descriptor, void (*disown)(Claims *) noexcept nogil) except -1:
    status = os.fstat(descriptor)
    identity = (status.st_dev, status.st_ino)
    with cython.critical_section(opening):
        if identity not in opened_files:
            disown(claims)
            opened_files.add(identity)
    return 0


def forget_buses():
    """In a forked child: every bus is closed, and no line is touched, for the lines are the parent's."""
    cdef Bus bus
    cdef BusHandle handle
    for bus in list(open_buses):
        bus.closed = True
        bus.lock = threading.RLock()            # a thread that is not here may hold the old one
        for handle in bus.open_handles():
            handle.closed, handle.busy = True, 0
            handle.forget_line()
        bus.forget()


init_mutex(&ties_lock, NULL)
if pthread_atfork(hold_ties, resume_ties, let_go):
    raise MemoryError("no memory to register what a forked child has to do")
os.register_at_fork(after_in_child=forget_buses)
