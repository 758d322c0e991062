"""The compiled half of a handler: sending, and the clock and chance that replay."""
from random import Random

cimport cython
from cpython.object cimport PyObject
from libc.stdint cimport uint16_t, uint64_t, uintptr_t

from nanobus.core.atomics cimport atomic_add, load_acquire
from nanobus.core.branches cimport rarely
from nanobus.core.clock cimport unix_ns
from nanobus.dispatch.outlet cimport Outlet, OutletClaim, check_thread

from nanobus.bus.codec import find_codec
from nanobus.errors import NotRunningError


cdef extern from "pythread.h":
    unsigned long PyThread_get_thread_ident() noexcept

cdef extern from *:
    """
    /* What this thread used last, of workers of its own: an entry for all handlers whose address ends alike.
       `voice` is borrowed. */
    enum { NB_KEPT = 8 };
    struct Kept { void *service; PyObject *voice; uint64_t turn; };
    static _Thread_local struct Kept nb_kept[NB_KEPT];
    """
    enum:
        KEPT "NB_KEPT"
    struct Kept:
        void *service
        PyObject *voice
        uint64_t turn
    Kept *kept "nb_kept"

cdef dict voices = {}                   # address of a bound Service -> its Voice
cdef uint64_t turn = 1                  # changes whenever an entry does


@cython.final
@cython.auto_pickle(False)
cdef class Voice:
    """What one handler sends with: its worker's outlet, in its name.

    Notes
    -----
    For the worker's thread. Made by `bind`.
    """

    cdef int end(self) except -1:
        self.outlet = None
        if self.permit is not None:
            self.permit.end()
            self.permit = None
        return 0


@cython.auto_pickle(False)
cdef class Service:
    """The compiled half of a handler: sending, and the clock and chance that replay.

    Notes
    -----
    Every method is for the worker's thread, during `__init__`, a hook or a message.
    """

    def __dealloc__(self):
        if voices:                      # None at the very end of the process
            forget(self)

    def send(self, message, /):
        """Send `message`, an object of a declared class, in the name of this handler.

        It is on the bus when this returns, or in the worker's outbox if the bus is full: sent in order as soon as
        there is room, before anything newer from this worker. Never waits. An outbox dies with its process.

        Raises
        ------
        MessageError, EncodeError, MessageTooLargeError
            Nothing was sent.
        BusFullError
            The outbox is full, or the bus is and has `overflow="error"`. Nothing was sent.
        SchemaMismatchError, SchemaError, OSError
            The first message of its class, in a journal that holds another layout of it, or whose schema.json cannot
            be read or written. Nothing was sent.
        NotRunningError, HandleInUseError
            The handler is in no running worker, or this is not its worker's thread. Nothing was sent.
        """
        cdef Voice voice = voice_of(self)
        cdef Outlet outlet = voice.outlet                   # lives on where encoding ends the voice
        outlet.send(voice.source, message)

    def claim(self, message_type):
        """Return a context manager whose block writes a Record in place, in the slot itself where there is room.

        `with self.claim(Quote) as quote: quote.bid = 1.0`. Leaving the block sends it; an exception aborts it and
        nobody sees it. Everybody waits for a claim that stays open. What is sent inside the block goes behind it.
        """
        cdef Voice voice = voice_of(self)
        cdef OutletClaim claim = OutletClaim.__new__(OutletClaim)
        claim.outlet = voice.outlet
        claim.source = voice.source
        claim.codec = find_codec(message_type)
        return claim

    @property
    def now(self):
        """Unix ns: the timestamp of the message at hand; on a bus without timestamps, the clock when first asked.

        Outside of any message (`__init__`, `on_start`, `on_loop`, `on_stop`) it is the clock, on replay too.
        """
        cdef Outlet outlet = voice_of(self).outlet
        if outlet.timestamp == 0:
            outlet.timestamp = unix_ns()
        return outlet.timestamp

    @property
    def random(self):
        """A `random.Random` seeded by the position of the message at hand and this handler's id: the same on replay."""
        cdef Voice voice = voice_of(self)
        cdef uint64_t position = voice.outlet.position
        if voice.generator is None or voice.generator_position != position:
            voice.generator = Random(<object> position << 16 | voice.source)
            voice.generator_position = position
        return voice.generator

    @property
    def shard(self):
        """Which shard of its worker this handler is in, from 0 on; 0 where the worker has none. The same on replay."""
        return voice_of(self).outlet.shard

    def stop(self):
        """Ask the messenger to stop: what was sent before, by this worker or others, is still handled by every worker.

        What handlers send in answer to that is on the bus, but nobody may be left to handle it.
        """
        voice_of(self).outlet.stop_wanted = True


cdef Voice voice_of(Service service):
    cdef Kept *entry = &kept[<uintptr_t> <void *> service // 16 % KEPT]
    if rarely(entry.service != <void *> service or entry.turn != load_acquire(&turn)):
        return look_up_voice(service, entry)
    return <Voice> entry.voice


cdef Voice look_up_voice(Service service, Kept *entry):
    if not isinstance(service, Service):    # `Service.send` may be called with any first argument
        raise TypeError(f"a handler is needed, not {type(service).__qualname__}")
    cdef Voice voice = voices.get(<uintptr_t> <void *> service)
    if voice is None:
        raise NotRunningError(f"{type(service).__qualname__} is in no running worker")
    check_thread(voice.thread)
    entry.service = <void *> service
    entry.voice = <PyObject *> voice
    entry.turn = load_acquire(&turn)
    return voice


def bind(Service service not None, uint16_t source, Outlet outlet):
    """Connect a handler to its worker's outlet, before its `__init__` runs; None disconnects it, if it is connected."""
    cdef Voice voice
    if outlet is None:
        voice = forget(service)
        if voice is not None:
            voice.end()
        return
    voice = Voice.__new__(Voice)
    voice.outlet = outlet
    voice.source = source
    voice.thread = outlet.thread = PyThread_get_thread_ident()
    voices[<uintptr_t> <void *> service] = voice
    atomic_add(&turn, 1)


cdef Voice forget(Service service):
    """Take the entry of a service, if it has one."""
    cdef Voice voice = voices.pop(<uintptr_t> <void *> service, None)
    if voice is not None:
        atomic_add(&turn, 1)            # before the address can be another's
    return voice
