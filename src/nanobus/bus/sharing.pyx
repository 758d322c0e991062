"""What a messenger asks of a bus that workers in other processes use, too. See handover.pxd."""
from nanobus.bus.base cimport Bus, BusReader
from nanobus.bus.control cimport ReaderLine
from nanobus.bus.handover cimport adopt_line, new_place

from nanobus.errors import NanobusError


cdef class SharedBus(Bus):
    """A bus that several processes can have open. Use a subclass, such as CircularBus."""

    def carriage(self):
        """Return (function, arguments, descriptors): what makes this bus in a child that inherits the descriptors.

        Raises
        ------
        NanobusError
            It cannot be had in another process.
        """
        raise NanobusError(f"a {type(self).__qualname__} cannot be had in another process")

    def hold(self):
        """Take a place for a reader at the head, for a child process; return it as a Place."""
        cdef BusReader reader
        cdef ReaderLine *line = NULL
        while line == NULL:
            reader = self.reader("newest")
            line = self.lend_line(reader)
            reader.close()
        return new_place(self.memory, &self.claims, line)

    def adopt(self, ticket):
        """Open a reader in the place that the parent holds, or took back when its last owner died."""
        self.check_open()
        return self.keep(self.open_adopted(adopt_line(&self.claims, ticket)))

    def reap(self):
        """Settle what processes left behind that died: seal their claims, let writers pass their readers."""
        self.check_open()
        self.reap_all()
        self.wake_all()

    cdef ReaderLine *lend_line(self, BusReader reader):
        return NULL

    cdef BusReader open_adopted(self, ReaderLine *line):
        raise NanobusError(f"a {type(self).__qualname__} cannot be read by another process")

    cdef int reap_all(self) except -1:
        return 0
