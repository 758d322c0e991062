"""Proving that handlers send what the record says they sent.

    main reader     ──────── p ─┐ handlers run on the message at p and send
    look-ahead      ────────────│──────► notes what handlers sent because of a message, as far as needed
                                ▼
    one queue a source:   (cause, message, payload) (cause, message, payload) ...     first = what it must send next

A source's effects lie in the order of their causes, so that one comparison with the first of its queue tells:

    first.cause == p    same message, same bytes, or they differ
    first.cause <  p    an earlier message had an effect that was not sent this time
    first.cause >  p    the record holds no such effect of p
    the record ends     nobody knows, if the worker may not have come as far as p; see Comparison
"""
from collections import deque

cimport cython
from cpython.bytes cimport PyBytes_AS_STRING, PyBytes_FromStringAndSize, PyBytes_GET_SIZE
from libc.stdint cimport uint8_t, uint16_t, uint64_t
from libc.string cimport memcmp

from nanobus.bus.base cimport NO_CAUSE, Bus
from nanobus.dispatch.effects cimport Effects, cause_position
from nanobus.dispatch.recording cimport Recording


cdef enum:
    FAR = 65536                         # effects of others to keep in memory before somebody is sent ahead


@cython.final
@cython.freelist(64)
cdef class Effect:
    cdef uint64_t position
    cdef uint64_t cause
    cdef uint16_t message
    cdef bytes payload


@cython.final
cdef class Comparison(Recording):
    """Takes every send and compares it with what the bus holds of that source for that cause.

    Parameters
    ----------
    bus : Bus
    start, end : int
        The part of it that is the record.
    workers : sequence of iterables of int
        Source ids of the handlers of each worker.
    replayed : iterable of int
        Those whose sends are compared.
    cursors : sequence of (int or None)
        Of each worker, the position of its named cursor; None where it has none.
    translations : mapping of int to callable
        For the ids of messages that the record holds in another layout than today's: (position, payload) -> the bytes
        that are sent today for the same message, or None where nobody can tell.

    Notes
    -----
    Used by one thread. Sends without a cause (`on_start`, `on_stop`) are taken and not compared.

    A run may have ended, killed or stopped, before a worker had handled all that was on the bus. So a send that the
    record does not hold is a difference only where the record shows that the worker went on:

    - a handler of the same worker has sent something because of a later message;
    - its cursor stands behind the message.

    Else it is counted as unfinished, and what the record holds and nobody sends is always a difference. A tick proves
    nothing: the next run writes its own, wherever the last one ended. An effect in a later run does: a record of
    several runs wants workers with cursors, which leave nothing out.
    """
    cdef Bus bus
    cdef Effects ahead
    cdef uint64_t start
    cdef uint64_t end
    cdef dict queues                    # replayed source -> deque of Effect
    cdef dict place                     # source -> index of its worker
    cdef list reached                   # of each worker, the position before which it has surely handled everything
    cdef dict translations
    cdef set silent                     # sources of which the record holds no more
    cdef tuple difference               # what `settle` returns

    def __cinit__(self, Bus bus not None, uint64_t start, uint64_t end, workers, replayed, cursors, translations):
        self.bus = bus
        self.start = start
        self.end = end
        self.place = {source: index for index, sources in enumerate(workers) for source in sources}
        self.reached = [0 if cursor is None else cursor for cursor in cursors]
        self.translations = dict(translations)
        self.queues = {source: deque() for source in replayed}
        self.silent = set()
        self.ahead = Effects(bus.reader(start), end, self.place, start)

    def settle(self, uint64_t limit):
        """Also look for recorded effects of messages before `limit` that nobody sent; see `Recording.settle`."""
        cdef Effect first
        waiting = {source for source, queue in self.queues.items() if not queue} - self.silent
        while waiting and self.look(False):
            waiting.discard(self.ahead.slot.header.source)
        for source, queue in self.queues.items():
            if queue:
                first = queue[0]
                if first.cause < limit:
                    self.differ(first.cause, source, first, None)
        return self.difference

    def close(self):
        self.ahead.close()

    cdef bint takes(self, uint16_t source, uint16_t message, uint64_t cause, const uint8_t *payload,
                    Py_ssize_t size) except -1:
        cdef Effect first
        self.sends += 1
        if cause == NO_CAUSE or self.spent:
            return True
        queue = self.queues[source]
        if not queue and not self.look_for(source, queue, cause):
            if self.reached[self.place[source]] > cause:
                self.differ(cause, source, None, sent(message, payload, size))
            else:
                self.unfinished += 1
            return True
        first = queue[0]
        if first.cause < cause:
            self.differ(first.cause, source, first, None)
        elif first.cause > cause:
            self.differ(cause, source, None, sent(message, payload, size))
        elif first.message != message or not self.is_as_recorded(first, payload, size):
            self.differ(cause, source, first, sent(message, payload, size))
        else:
            queue.popleft()
            self.compared += 1
        return True

    cdef bint is_as_recorded(self, Effect recorded, const uint8_t *payload, Py_ssize_t size) except -1:
        cdef bytes expected = recorded.payload
        translate = self.translations.get(recorded.message)
        if translate is not None:
            expected = translate(recorded.position, expected)
        return (
            expected is not None and PyBytes_GET_SIZE(expected) == size
            and not memcmp(PyBytes_AS_STRING(expected), payload, size)
        )

    cdef bint look_for(self, uint16_t source, queue, uint64_t cause) except -1:
        """Look ahead until the next effect of `source` is in its queue; False if the record holds no more."""
        cdef size_t looks = 0
        while not queue and source not in self.silent:
            looks += 1
            if looks == FAR and not self.waits_far_ahead(source, queue, cause):
                break
            if not self.look(True):
                self.silent.add(source)
        return len(queue) != 0

    cdef bint look(self, bint keep) except -1:
        """Note one more effect, in full or only as the next one of its source; False at the end of the record."""
        if not self.find_effect(self.ahead):
            return False
        queue = self.queues.get(self.ahead.slot.header.source)
        if queue is not None and (keep or not queue):
            queue.append(effect_at(self.ahead))
        return True

    cdef bint waits_far_ahead(self, uint16_t source, queue, uint64_t cause) except -1:
        """Whether there is something for `cause` far ahead, so that all in between has to be kept until then.

        Where there is not, the answer is known without keeping anything: it is in the queue, or the source is silent.
        """
        cdef Effects scout = Effects(
            self.bus.reader(self.ahead.reader.cursor), self.end,
            [one for one, place in self.place.items() if place == self.place[source]], self.start,
        )
        try:
            while self.find_effect(scout):
                if scout.slot.header.source == source:
                    if cause_position(&scout.slot) == cause:
                        return True
                    queue.append(effect_at(scout))      # it differs, and the replay ends here
                    return False
        finally:
            scout.close()
        self.silent.add(source)
        return False

    cdef bint find_effect(self, Effects effects) except -1:
        """Go to the next effect, and note on the way how far the workers came; False at the end of the record."""
        if not effects.find():
            return False
        place = self.place[effects.slot.header.source]
        self.reached[place] = max(self.reached[place], cause_position(&effects.slot))
        return True

    cdef int differ(self, uint64_t position, uint16_t source, Effect expected, actual) except -1:
        self.spent = True
        if self.difference is None or position < self.difference[0]:
            wanted = None if expected is None else (expected.message, expected.payload, expected.position)
            self.difference = (position, source, wanted, actual)
        return 0


cdef Effect effect_at(Effects effects):
    cdef Effect effect = Effect.__new__(Effect)
    effect.position = effects.slot.position
    effect.cause = cause_position(&effects.slot)
    effect.message = effects.slot.header.message
    effect.payload = PyBytes_FromStringAndSize(<const char *> effects.slot.payload, effects.slot.header.size)
    return effect


cdef tuple sent(uint16_t message, const uint8_t *payload, Py_ssize_t size):
    return message, PyBytes_FromStringAndSize(<const char *> payload, size), None
