"""What a forked child does with the buses it inherits: it lets go of them. The lines in their control blocks carry the
parent's name and are the parent's; a child opens the bus anew.
"""
import os
import threading

from nanobus.bus.base cimport Bus, BusReader, BusWriter, open_buses


def forget_buses():
    """In a forked child: every bus is closed, and no line is touched, for the lines are the parent's."""
    cdef Bus bus
    cdef BusWriter writer
    cdef BusReader reader
    for bus in list(open_buses):
        bus.closed = True
        bus.lock = threading.RLock()            # a thread that is not here may hold the old one
        for handle in list(bus.handles):
            if isinstance(handle, BusWriter):
                writer = handle
                writer.closed, writer.busy = True, False
                writer.forget_line()
            else:
                reader = handle
                reader.closed, reader.busy = True, False
                reader.forget_line()
        bus.forget()


os.register_at_fork(after_in_child=forget_buses)
