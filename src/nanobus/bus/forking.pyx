"""What a forked child does with the buses it inherits: it lets go of them. The lines in their control blocks carry the
parent's name and are the parent's; a child opens the bus anew.
"""
import os
import threading

from nanobus.bus.base cimport Bus, BusHandle, open_buses


def forget_buses():
    """In a forked child: every bus is closed, and no line is touched, for the lines are the parent's."""
    cdef Bus bus
    cdef BusHandle handle
    for bus in list(open_buses):
        bus.closed = True
        bus.lock = threading.RLock()            # a thread that is not here may hold the old one
        for handle in list(bus.handles):
            handle.closed, handle.busy = True, False
            handle.forget_line()
        bus.forget()


os.register_at_fork(after_in_child=forget_buses)
