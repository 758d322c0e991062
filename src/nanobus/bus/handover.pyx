"""How a reader's line passes from one process to another. See handover.pxd."""
cimport cython
from libc.stdint cimport uint32_t, uint64_t
from posix.unistd cimport getpid

from nanobus.bus.base cimport Bus
from nanobus.bus.claims cimport Claims, release_reader_line
from nanobus.bus.control cimport GATING_TURN, ReaderLine
from nanobus.bus.waiting cimport wake
from nanobus.core.atomics cimport fence_full, load_acquire, load_acquire_32, store_release, swap_if_equal
from nanobus.core.owner cimport owner_alive, process_of
from nanobus.core.steps cimport step

from nanobus.errors import NanobusError

cdef object naming = object()           # its critical section: in one thread at a time this process becomes an heir


@cython.final
@cython.no_gc_clear         # __dealloc__ needs the memory
cdef class Place:
    """A place on a bus that a child process reads from.

    Dropping the last reference lets writers pass, too, but a journal that was closed meanwhile stays locked until its
    object goes. Thread-safe; a child that has the ticket must have adopted the place, or have ended, before it is let
    go.
    """

    def __dealloc__(self):
        self.release()

    @property
    def ticket(self):
        """What `Bus.adopt` in the child wants."""
        return self.line - self.claims.readers, self.turn, self.claims.owner

    @cython.critical_section
    def reclaim(self):
        """Take the place back from the dead; return its position, or None where its owner lives or gave it up."""
        return load_acquire(&self.line.position) if self.is_at_home() and self.take_back() else None

    @cython.critical_section
    def let_go(self):
        """Let writers pass; if somebody alive reads here, once that one closes its reader or dies."""
        self.release()
        self.bus.let_others_in()

    cdef void release(self) noexcept:
        cdef uint64_t heir = self.claims.owner
        if not self.is_at_home():
            return
        with cython.critical_section(naming):
            if self.take_back():
                step()
                release_reader_line(self.line)
                fence_full()
                wake(self.claims.control)
            elif self.is_ours():
                swap_if_equal(&self.line.heir, &heir, <uint64_t> 0)     # or whoever reads here would gate when dead

    cdef bint is_held(self) noexcept:
        return self.is_at_home() and self.is_ours() and load_acquire(&self.line.owner) != 0

    cdef bint take_back(self) noexcept:
        cdef uint64_t owner = load_acquire(&self.line.owner)
        if owner == 0 or owner != self.claims.owner and owner_alive(owner) or not self.is_ours():
            return False                                    # the turn last: the dead end none
        if owner != self.claims.owner:
            step()
            if not swap_if_equal(&self.line.owner, &owner, self.claims.owner):
                return False
            step()
            store_release(&self.line.sealing, 0)            # whatever it sealed, others finish
        return True

    cdef bint is_ours(self) noexcept:
        """Whether this is still the turn, and nobody gave the place up."""
        return turn_of(self.line) == self.turn and load_acquire(&self.line.heir) == self.claims.owner

    cdef bint is_at_home(self) noexcept:
        """Else it is half made; or this process is forked, and the place is its parent's."""
        return self.line != NULL and process_of(self.claims.owner) == <uint64_t> getpid()


cdef Place new_place(Bus bus, object memory, const Claims *claims, ReaderLine *line):
    cdef Place place = Place.__new__(Place)
    place.bus = bus
    place.memory = memory
    place.claims = claims[0]
    place.line = line
    place.turn = turn_of(line)
    step()
    with cython.critical_section(naming):
        store_release(&line.heir, claims.owner)
    step()
    return place


cdef ReaderLine *adopt_line(Claims *claims, object ticket) except NULL:
    cdef uint32_t index = ticket[0], turn = ticket[1]
    cdef uint64_t lender = ticket[2]
    cdef ReaderLine *line = &claims.readers[index] if index < claims.control.reader_lines else NULL
    step()
    if line == NULL or turn_of(line) != turn or load_acquire(&line.heir) != lender or not swap_if_equal(
        &line.owner, &lender, claims.owner
    ):
        raise NanobusError("the place on the bus that was held for this process is gone")
    step()
    return line


cdef inline uint32_t turn_of(const ReaderLine *line) noexcept nogil:
    return load_acquire_32(&line.gating) // GATING_TURN
