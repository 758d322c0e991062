from cpython.object cimport PyObject
from libc.stdint cimport uint64_t

from nanobus.bus.base cimport BUS_OK, BusStatus, Slot
from nanobus.dispatch.free_loop cimport FreeLoop
from nanobus.dispatch.router cimport Entry, Row


cdef class WorkerLoop(FreeLoop):
    cdef object on_failure              # (handler index, message, position, error) -> whether to go on
    cdef object on_gap                  # (Gap) -> None
    cdef tuple timers
    cdef tuple turn_hooks               # (handler index, bound on_loop)
    cdef object broken                  # what `on_failure` itself raised; raised by `run` in turn
    cdef bint decoding
    cdef bint alone                     # hardly any other thread of this process wants the GIL
    cdef bint is_slow                   # the last turn was long: the next is looked at from its first call on
    cdef bint answered                  # a Python handler ran in this turn
    cdef readonly uint64_t failures     # calls that raised

    cdef BusStatus deliver(self) except? BUS_OK
    cdef int check_open(self) except -1
    cdef void pass_on(self) noexcept
    cdef int deliver_batch(self, Row *row, Slot *slot) except -1
    cdef int dispatch(self, Row *row, Slot *slot) except -1
    cdef int ask_and_dispatch(self, Row *row, Slot *slot) except -1
    cdef int call_receivers(self, Row *row, Slot *slot, PyObject *message) except -1
    cdef int call_native_among(self, Row *row, Entry *entry, object message, Slot *slot) except -1
    cdef int begin_native_use(self) except -1
    cdef int end_native_use(self) except -1
    cdef int end_badly(self, Entry *entry, object message, uint64_t position, bint raised) except -1
    cdef int fail(self, object handler, object message, object position, error) except -1
    cdef int tell(self, object handler, object message, object position, error) except -1
    cdef int fail_to_decode(self, error) except -1
    cdef int hand(self, Slot *slot) except -1
    cdef int tick(self, Slot *slot) except -1
    cdef int write_due_timers(self) except -1
    cdef int run_turn_hooks(self) except -1
    cdef bint waits_a_moment(self) noexcept
    cdef int end_claim(self, object handler, object message, object position) except -1
    cdef int tell_gap(self) except -1
    cdef void forget_ticks(self)
