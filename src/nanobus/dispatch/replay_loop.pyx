"""The loop of a replay: one reader for all workers, in one thread, in the order of positions.

    slot:   pace            sleep until it is due, if the replay keeps the recorded distances in time
            worker by worker: find the row or the timer, decode, call each receiver
            stop?           a failure that the worker's policy does not forgive, or a send that differs from the record

No timers are written and no `on_loop` is called: ticks come from the record.
"""
cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport int64_t, uint64_t
from libc.stdlib cimport calloc, free

from nanobus.bus.base cimport BusReader, Slot
from nanobus.core.layout cimport TIMER_ID
from nanobus.dispatch.playback cimport Playback
from nanobus.dispatch.recording cimport Recording
from nanobus.dispatch.router cimport Router, find_row
from nanobus.dispatch.worker_loop cimport WorkerLoop


@cython.final
cdef class ReplayLoop(Playback):
    """Hands the slots of a bus to the handlers of several workers.

    Parameters
    ----------
    reader : BusReader
        Where to begin; the loop closes it.
    end : int
        Position before which to stop.
    end_time : int or None
        Unix ns: stop before the first message of that time, too.
    loops : sequence of WorkerLoop
        Served in this order at each position; their own readers are not used.
    recording : Recording
        What their outlets send into.
    pace : callable or None
        Called with the timestamp (unix ns) of each message that is about to be handled; sleeps as long as it sees fit.

    Notes
    -----
    Used by one thread, which is the one the handlers were made in.
    """
    cdef tuple loops
    cdef Recording recording
    cdef object pace
    cdef PyObject **routers             # of `loops`, which own them: `wants` has no GIL to look into a tuple
    cdef size_t count

    def __cinit__(self, BusReader reader not None, uint64_t end, end_time, loops, Recording recording not None, pace):
        cdef WorkerLoop loop
        self.begin(reader, end)
        self.loops = tuple(loops)
        self.recording = recording
        self.pace = pace
        self.needs_time = pace is not None or end_time is not None
        if end_time is not None:
            self.end_time = <int64_t> end_time
        self.routers = <PyObject **> calloc(len(self.loops) + 1, sizeof(PyObject *))
        if self.routers == NULL:
            raise MemoryError(f"no memory for {len(self.loops)} routers")
        for loop in self.loops:
            self.routers[self.count] = <PyObject *> loop.router
            self.count += 1

    def __dealloc__(self):
        free(self.routers)

    def run(self):
        """Replay; return the position before which everything was handled.

        That of the message at hand where a worker gave up, or a handler's sends differ; else the end.
        """
        cdef WorkerLoop loop
        while self.find():
            if self.pace is not None:
                self.pace(self.slot.header.timestamp)
            for loop in self.loops:
                loop.hand(&self.slot)
                if loop.broken is not None:
                    raise loop.broken
                if loop.failed:
                    return self.slot.position
            if self.recording.spent:
                return self.slot.position
        return self.end

    cdef bint wants(self, Slot *slot) noexcept nogil:
        cdef size_t index
        if slot.header.message == TIMER_ID:
            return True
        for index in range(self.count):
            if find_row(<Router> self.routers[index], slot.header.source, slot.header.message) != NULL:
                return True
        return False
