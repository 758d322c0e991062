"""The bus contract: what every bus gives to nogil code, and through Bus, BusWriter and BusReader to Python.

A bus is a pair of handles, subclasses of BusWriter and BusReader, and a Bus that makes them. A handle serves one thread
at a time; handles of one bus work at the same time in any number of threads and processes. Another thread may close a
handle at any moment. So whoever uses one is in its critical section, which `close` takes too; and whoever leaves that
in between, to wait or to run without the GIL, is between `begin_use` and `end_use`: `close` then interrupts, and the
last `end_use` frees the line. A critical section costs nothing where there is a GIL.

    writer.claim(size, &slot)  ->  fill slot.header.source, .message, .cause and slot.payload  ->  writer.commit(&slot)
    reader.peek(&slot)         ->  read slot                                                  ->  reader.advance()

Full, empty and lapped are outcomes, not errors: C code gets a status, Python methods translate it once.
"""
cimport cython
from libc.stdint cimport int64_t, uint8_t, uint16_t, uint32_t, uint64_t

from nanobus.core.atomics cimport load_acquire_32, store_release_32
from nanobus.core.layout cimport SlotHeader

cdef enum BusStatus:
    BUS_OK
    BUS_EMPTY           # no committed slot at the reader's position
    BUS_FULL            # no room before the gate
    BUS_LAPPED          # writers overtook the reader; it has moved to where it can go on, `lost_from` says from where
    BUS_TOO_LARGE       # size > max_payload
    BUS_CORRUPT         # the checksum does not fit; `advance` skips the slot
    BUS_STOPPED         # the handle or its bus was closed, or somebody called `interrupt`
    BUS_CLAIMED         # this writer has a claim outstanding: one at a time
    BUS_FAILED          # the bus itself is damaged or the system refused; `raise_failure` says what

cdef struct Slot:
    uint64_t position
    SlotHeader *header
    uint8_t *payload


cdef class BusHandle:
    """What a writer and a reader have in common: a line in the bus, which is freed once."""
    cdef readonly Bus bus
    cdef readonly bint closed
    cdef int busy                       # calls between `begin_use` and `end_use`
    cdef uint32_t interrupted           # atomic
    cdef object __weakref__

    # In the handle's critical section, as everything else here.

    @cython.final
    cdef void begin_use(self) noexcept

    @cython.final
    cdef void end_use(self)

    cdef void close_line(self)
    cdef void forget_line(self)         # after a fork, in the child: the line is the parent's
    cdef int raise_failure(self) except -1      # why BUS_FAILED


cdef class BusWriter(BusHandle):
    cdef bint ensures                   # a returned write promises more than that readers see it: see `ensure`
    cdef bint takes_batches             # `commit_batch` is there

    # A claim always ends with exactly one commit or abort.
    cdef BusStatus claim(self, uint32_t size, Slot *slot) noexcept nogil
    cdef void commit(self, Slot *slot) noexcept nogil
    cdef void abort(self, Slot *slot) noexcept nogil
    # Commit a claim as a batch: `count` messages of `size` bytes each, of which nobody sees the first before all are
    # there. See slot_writer.pxd. For who does not have it, a claim's end like any other.
    cdef void commit_batch(self, Slot *slot, uint32_t count, uint32_t size) noexcept nogil
    # Until a claim of `size` would find room, or the timeout passes (BUS_FULL).
    cdef BusStatus wait(self, uint32_t size, int64_t timeout_ns) noexcept nogil
    # What a returned write promises of the slots before `end`, on a bus that promises more; raises where it cannot.
    # Leaves the critical section meanwhile.
    cdef int ensure(self, uint64_t end) except -1

    # Python level: claim, waiting as the overflow policy says; raises where it cannot.

    @cython.final
    cdef int claim_or_raise(self, uint32_t size, Slot *slot, object timeout) except -1

    @cython.final
    cdef int commit_and_ensure(self, Slot *slot) except -1

    @cython.final
    cdef object put(self, object source, object message_id, object payload, object cause, object timeout)

    @cython.final
    cdef int append(self, uint16_t source, uint16_t message, uint64_t cause, const uint8_t *payload,
                    Py_ssize_t size, object timeout, uint64_t *position) except -1


cdef class BusReader(BusHandle):
    cdef uint64_t cursor                # position of the next slot
    cdef bint holds                     # `advance` tells nobody: the slots behind stay, until `publish`
    cdef uint64_t lost_from             # after BUS_LAPPED: position of the first slot lost

    # The slot is valid until `advance`. Padding is skipped. Idempotent, except that BUS_LAPPED is told once.
    cdef BusStatus peek(self, Slot *slot) noexcept nogil
    cdef void advance(self) noexcept nogil
    # Tell others where the reader is, after it has held that back.
    cdef void publish(self) noexcept nogil
    # Until `peek` would not say BUS_EMPTY, or the timeout passes (BUS_EMPTY).
    cdef BusStatus wait(self, int64_t timeout_ns) noexcept nogil
    # The slot that starts exactly at `position`, copied; BUS_EMPTY where none does. Does not move the reader.
    cdef BusStatus look_at(self, uint64_t position, Slot *slot) noexcept nogil

    # Python level: `wait`, looking for signals meanwhile.

    @cython.final
    cdef BusStatus wait_or_raise(self, int64_t timeout_ns) except? BUS_OK

    @cython.final
    cdef object take(self, int64_t timeout_ns)


cdef class Bus:
    cdef readonly bint closed
    cdef readonly uint32_t max_payload  # bytes
    cdef readonly bint keeps_cursors    # `reader(start=name)` resumes where the reader of that name was
    cdef tuple handles                  # weak references to readers and writers; replaced under `lock`, never changed
    cdef object lock
    # Thread -> [open claims in place, end of what it wrote meanwhile], under `lock`; None where nothing is ever synced.
    cdef dict claiming
    cdef BusWriter shared_writer        # serves `write`
    cdef BusReader probe                # serves `read`
    cdef readonly set described         # codecs whose layout this bus has written down; None: it writes down none
    cdef object __weakref__

    cdef object keep(self, handle)
    cdef int note_handle(self, handle) except -1        # `close` and a fork have to know of it
    cdef list open_handles(self)
    # Write down what the payloads of a Codec are, and add it to `described`.
    cdef int describe(self, object codec) except -1
    cdef int check_open(self) except -1
    cdef int check_start(self, object start) except -1
    cdef void forget(self)              # after a fork, in the child
    cdef int let_others_in(self) except -1      # the last line of a closed bus may be free now
    cdef BusWriter open_writer(self)
    cdef BusReader open_reader(self, object start, bint gate, object lag_limit)
    cdef BusReader open_probe(self)
    cdef uint64_t load_head(self) noexcept nogil
    cdef uint64_t load_gate(self) noexcept nogil
    cdef void wake_all(self) noexcept nogil
    # Whether a writer that finds no room waits (block, overwrite) or is told at once (error).
    cdef bint waits_for_room(self) noexcept nogil


cdef extern from "<stdint.h>":
    const uint64_t NO_CAUSE "UINT64_MAX"

# What the `__new__` of a handle wants to see: handles come from a bus, an empty one would point nowhere.
cdef object FROM_A_BUS
cdef object open_buses              # WeakSet of every Bus of this process

# For code without the GIL: another thread may be closing it.
cdef inline bint was_closed(BusHandle handle) noexcept nogil:
    return load_acquire_32(<const uint32_t *> &handle.closed) != 0

# Before a message of `codec` is sent.
cdef inline int note_codec(Bus bus, object codec) except -1:
    if bus.described is not None and codec not in bus.described:
        bus.describe(codec)
    return 0

# End another thread's `wait` with BUS_STOPPED: the current one, or the next. From any thread.
cdef inline void interrupt(BusHandle handle) noexcept:
    store_release_32(&handle.interrupted, 1)
    handle.bus.wake_all()
