"""The compiled half of a handler: sending, and the clock and chance that replay."""
from random import Random

cimport cython
from libc.stdint cimport uint16_t, uint64_t

from nanobus.bus.base cimport note_codec
from nanobus.bus.codec cimport Codec, EncodedMessage
from nanobus.core.clock cimport unix_ns
from nanobus.dispatch.outlet cimport Outlet, OutletClaim, check_thread

from nanobus.bus.codec import find_codec
from nanobus.errors import NotRunningError


cdef extern from "pythread.h":
    unsigned long PyThread_get_thread_ident() noexcept

cdef extern from "Python.h":
    object PyObject_GenericGetAttr(object one, object name)
    int PyObject_GenericSetAttr(object one, object name, object value) except -1

cdef str VOICE = "__nanobus_voice__"


@cython.final
@cython.auto_pickle(False)
cdef class Voice:
    """What one handler sends with: its worker's outlet, in its name.

    Notes
    -----
    For the worker's thread. Made by `bind`.
    """

    def __reduce__(self):
        raise TypeError(f"what {self.owner.__qualname__} sends with cannot be pickled: save state by attribute")

    @cython.binding(False)              # a plain builtin of one argument, which the interpreter calls fastest
    def send(self, message):
        """Do what `Service.send` tells."""
        cdef Outlet outlet = self.running()
        cdef Codec codec = outlet.codec_for(message)
        cdef EncodedMessage encoded
        codec.encode(message, &encoded)
        try:
            if outlet.describes:
                note_codec(outlet.writer.bus, codec)
            outlet.put(self.source, codec.message_id, encoded.payload, encoded.size)
        finally:
            codec.release(&encoded)

    cdef Outlet running(self):
        # The thread first: to any other one the outlet may vanish while it looks.
        if self.thread == 0:
            raise NotRunningError(f"{self.owner.__qualname__} is in no running worker")
        check_thread(self.thread)
        return self.outlet

    cdef int end(self) except -1:
        self.thread = 0
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

    def send(self, message):
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
        NotRunningError
            The handler is in no running worker.
        """
        voice_of(self).send(message)

    def claim(self, message_type):
        """Return a context manager whose block writes a Record in place, in the slot itself where there is room.

        `with self.claim(Quote) as quote: quote.bid = 1.0`. Leaving the block sends it; an exception aborts it and
        nobody sees it. Everybody waits for a claim that stays open. What is sent inside the block goes behind it.
        """
        cdef Voice voice = voice_of(self)
        cdef OutletClaim claim = OutletClaim.__new__(OutletClaim)
        claim.outlet = voice.running()
        claim.source = voice.source
        claim.codec = find_codec(message_type)
        return claim

    @property
    def now(self):
        """Unix ns: the timestamp of the message at hand; on a bus without timestamps, the clock when first asked.

        Outside of any message (`__init__`, `on_start`, `on_loop`, `on_stop`) it is the clock, on replay too.
        """
        cdef Outlet outlet = voice_of(self).running()
        if outlet.timestamp == 0:
            outlet.timestamp = unix_ns()
        return outlet.timestamp

    @property
    def random(self):
        """A `random.Random` seeded by the position of the message at hand and this handler's id: the same on replay."""
        cdef Voice voice = voice_of(self)
        cdef uint64_t position = voice.running().position
        if voice.generator is None or voice.generator_position != position:
            voice.generator = Random(<object> position << 16 | voice.source)
            voice.generator_position = position
        return voice.generator

    @property
    def shard(self):
        """Which shard of its worker this handler is in, from 0 on; 0 where the worker has none. The same on replay."""
        return voice_of(self).running().shard

    def stop(self):
        """Ask the messenger to stop: what was sent before, by this worker or others, is still handled by every worker.

        What handlers send in answer to that is on the bus, but nobody may be left to handle it.
        """
        voice_of(self).running().stop_wanted = True


cdef object SEND = Service.send


cdef Voice voice_of(Service service):
    try:
        return <Voice?> PyObject_GenericGetAttr(service, VOICE)
    except AttributeError:
        raise NotRunningError(f"{type(service).__qualname__} is in no running worker") from None


cdef int bind_service(Service service, uint16_t source, Outlet outlet) except -1:
    cdef Voice voice
    if outlet is None:
        voice_of(service).end()
        return 0
    voice = Voice.__new__(Voice)
    voice.outlet = outlet
    voice.source = source
    voice.owner = type(service)
    voice.thread = outlet.thread = PyThread_get_thread_ident()
    PyObject_GenericSetAttr(service, VOICE, voice)          # as if its class had no `__setattr__`
    if type(service).send is SEND:
        PyObject_GenericSetAttr(service, "send", voice.send)
    return 0
