"""What a messenger asks of a bus that workers in other processes use, too. See handover.pxd."""
cimport cython

from nanobus.bus.base cimport Bus, BusReader
from nanobus.bus.control cimport ReaderLine
from nanobus.bus.handover cimport Place, adopt_line, new_place
from nanobus.bus.references cimport referring_to, still_alive

from nanobus.errors import NanobusError


cdef class SharedBus(Bus):
    """A bus that several processes can have open. Use a subclass, such as CircularBus."""

    def __cinit__(self):
        self.places = ()
        self.alarms = ()

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
        cdef Place place
        if not self.begin_work():
            self.check_open()
        try:
            while line == NULL:
                reader = self.reader("newest")
                with cython.critical_section(reader):       # which who closes the bus takes too
                    line = self.lend_line(reader)
                reader.close()
            place = new_place(self, self.memory, &self.claims, line)
            with self.lock:
                self.places = referring_to(self.places, place)
        finally:
            self.end_work()
        return place

    def adopt(self, ticket):
        """Open a reader in the place that the parent holds, or took back when its last owner died."""
        self.check_open()
        return self.keep(self.open_adopted(adopt_line(&self.claims, ticket)))

    def reap(self):
        """Settle what processes left behind that died: seal their claims, let writers pass their readers."""
        if not self.begin_work():
            self.check_open()
        try:
            self.reap_all()
        finally:
            self.end_work()
        self.wake_all()

    def watch(self, alarm):
        """Call `alarm.ring()` when this object is closed, for as long as somebody else refers to the alarm."""
        with self.lock:
            self.alarms = referring_to(self.alarms, alarm)
        if self.closed:
            alarm.ring()

    def close(self):
        """Close every handle of this object. Whoever waits on the bus here ends with BusClosedError.

        The memory goes when the last handle does. Other processes, and other Bus objects on the same file, go on.
        """
        Bus.close(self)
        alarms = []
        with self.lock:
            alarms.extend(still_alive(self.alarms))
        for alarm in alarms:
            alarm.ring()

    cdef bint begin_work(self):
        return not self.closed

    cdef int end_work(self) except -1:
        return 0

    cdef bint lends_lines(self):
        cdef Place place
        for place in still_alive(self.places):
            if place.is_held():
                return True
        return False

    cdef int begin_once(self) except -1:
        cdef bint begun
        with cython.critical_section(self):
            begun, self.begun = self.begun, True
        if begun:
            raise TypeError(f"a {type(self).__qualname__} is initialised once")
        return 0

    cdef ReaderLine *lend_line(self, BusReader reader):
        return NULL

    cdef BusReader open_adopted(self, ReaderLine *line):
        raise NanobusError(f"a {type(self).__qualname__} cannot be read by another process")

    cdef int reap_all(self) except -1:
        return 0
