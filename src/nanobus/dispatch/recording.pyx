"""What stands between handlers and the bus while they run on messages whose answers are on the bus already.

    rebuild   Recording     takes every send: nothing is written
    verify    Comparison    takes every send, and compares it with the recorded one
    resume    KnownSends    takes the sends that a former life of the worker has made already

A worker that runs live has none, and pays for that one comparison with a null pointer a send.
"""
from libc.stdint cimport uint8_t, uint16_t, uint64_t

from nanobus.bus.base cimport FROM_A_BUS, Bus, BusWriter


cdef class Recording:
    """Takes every send and forgets it.

    Attributes
    ----------
    sends : int
        Messages that handlers have sent into it.
    compared : int
        Those of them that were as recorded; 0 where nothing is compared.
    unfinished : int
        Those that the record lacks where it does not show that their worker came as far; see Comparison.

    Notes
    -----
    Used by one thread.
    """

    def settle(self, uint64_t limit):
        """Return how what was sent for the messages before `limit` differs from the record first, or None.

        A difference is (position, source, expected, actual); the last two are (message id, payload, position or
        None where it was not written), or None where there was nothing.
        """
        return None

    def close(self):
        """Let go of what it reads."""

    cdef bint takes(self, uint16_t source, uint16_t message, uint64_t cause, const uint8_t *payload,
                    Py_ssize_t size) except -1:
        self.sends += 1
        return True


def mute_writer(Bus bus not None):
    """Return a writer that never writes: every claim says BUS_STOPPED. It takes no line of `bus`."""
    cdef BusWriter writer = BusWriter.__new__(BusWriter, FROM_A_BUS)
    writer.bus = bus
    return writer
