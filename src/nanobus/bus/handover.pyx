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

from nanobus.errors import NanobusError


@cython.final
@cython.no_gc_clear         # __dealloc__ needs the memory
cdef class Place:
    """A place on a bus that a child process reads from. Dropping the last reference lets go of it, unless a child lives
    that reads there. Thread-safe."""

    def __dealloc__(self):
        self.release()

    @property
    def ticket(self):
        """What `Bus.adopt` in the child wants."""
        return self.line - self.claims.readers, self.turn, self.claims.owner

    @cython.critical_section
    def reclaim(self):
        """Take the place back from the dead; return its position, or None where its owner lives or gave it up."""
        return load_acquire(&self.line.position) if self.take_back() else None

    @cython.critical_section
    def let_go(self):
        """Let writers pass, unless somebody alive reads here."""
        self.release()
        self.bus.let_others_in()

    cdef void release(self) noexcept:
        if self.take_back():
            release_reader_line(self.line)
            fence_full()
            wake(self.claims.control)

    cdef bint is_held(self) noexcept:
        return (
            self.line != NULL and process_of(self.claims.owner) == <uint64_t> getpid()      # else half made; or forked
            and turn_of(self.line) == self.turn and load_acquire(&self.line.heir) == self.claims.owner
            and load_acquire(&self.line.owner) != 0
        )

    cdef bint take_back(self) noexcept:
        cdef uint64_t owner
        if not self.is_held():
            return False
        owner = load_acquire(&self.line.owner)
        if owner != self.claims.owner:
            if owner == 0 or owner_alive(owner) or not swap_if_equal(&self.line.owner, &owner, self.claims.owner):
                return False
            store_release(&self.line.sealing, 0)            # whatever it sealed, others finish
        return True


cdef Place new_place(Bus bus, object memory, const Claims *claims, ReaderLine *line):
    cdef Place place = Place.__new__(Place)
    place.bus = bus
    place.memory = memory
    place.claims = claims[0]
    place.line = line
    place.turn = turn_of(line)
    store_release(&line.heir, claims.owner)
    return place


cdef ReaderLine *adopt_line(Claims *claims, object ticket) except NULL:
    cdef uint32_t index = ticket[0], turn = ticket[1]
    cdef uint64_t lender = ticket[2]
    cdef ReaderLine *line = &claims.readers[index] if index < claims.control.reader_lines else NULL
    if line == NULL or turn_of(line) != turn or load_acquire(&line.heir) != lender or not swap_if_equal(
        &line.owner, &lender, claims.owner
    ):
        raise NanobusError("the place on the bus that was held for this process is gone")
    return line


cdef inline uint32_t turn_of(const ReaderLine *line) noexcept nogil:
    return load_acquire_32(&line.gating) // GATING_TURN
