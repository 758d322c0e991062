"""Proving that handlers send what the record says they sent.

    main reader     ──────── p ─┐ handlers run on the message at p and send
    look-ahead      ────────────│──────► notes what handlers sent because of a message, as far as needed
                                ▼
    one queue a line:     (cause, message, payload) (cause, message, payload) ...     first = what it must send next

A line is a source, and where its worker has shards, a source in a shard. Its effects lie in the order of their causes,
so that one comparison with the first of its queue tells:

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
    SOURCE_BITS = 16                    # a line is a shard, counted over all workers, and below it a source
    SOURCES = 0xFFFF


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
    workers : sequence of (iterable of int, callable or None, sequence of (int or None))
        Of each worker, the source ids of its handlers; where it has shards, what tells the index of the one that the
        message at a position is for; and of each shard the position of its named cursor, None where it has none.
    replayed : iterable of int
        Source ids of those whose sends are compared.
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
    cdef dict queues                    # replayed line -> deque of Effect
    cdef dict lines                     # source -> its line in the first shard, what tells the shard
    cdef list reached                   # of each shard, the position before which it has surely handled everything
    cdef dict translations
    cdef set silent                     # lines of which the record holds no more
    cdef tuple difference               # what `settle` returns

    def __cinit__(self, Bus bus not None, uint64_t start, uint64_t end, workers, replayed, translations):
        self.bus = bus
        self.start = start
        self.end = end
        self.lines = {}
        self.reached = []
        self.translations = dict(translations)
        self.queues = {}
        self.silent = set()
        replayed = set(replayed)
        for sources, shard_of, cursors in workers:
            for source in sources:
                line = line_of(source, len(self.reached))
                self.lines[source] = line, shard_of
                if source in replayed:
                    self.queues.update({line + line_of(0, shard): deque() for shard in range(len(cursors))})
            self.reached += [0 if cursor is None else cursor for cursor in cursors]
        self.ahead = Effects(bus.reader(start), end, self.lines, start)

    def settle(self, uint64_t limit):
        """Also look for recorded effects of messages before `limit` that nobody sent; see `Recording.settle`."""
        cdef Effect first
        waiting = {line for line, queue in self.queues.items() if not queue} - self.silent
        while waiting:
            line = self.look(False)
            if line is None:
                break
            waiting.discard(line)
        for line, queue in self.queues.items():
            if queue:
                first = queue[0]
                if first.cause < limit:
                    self.differ(first.cause, line, first, None)
        return self.difference

    def close(self):
        self.ahead.close()

    cdef bint takes(self, uint16_t source, uint16_t message, uint64_t cause, const uint8_t *payload,
                    Py_ssize_t size) except -1:
        cdef Effect first
        self.sends += 1
        if cause == NO_CAUSE or self.spent:
            return True
        line = self.line_at(source, cause)
        queue = self.queues[line]
        if not queue and not self.look_for(line, queue, cause):
            if self.reached[line >> SOURCE_BITS] > cause:
                self.differ(cause, line, None, sent(message, payload, size))
            else:
                self.unfinished += 1
            return True
        first = queue[0]
        if first.cause < cause:
            self.differ(first.cause, line, first, None)
        elif first.cause > cause:
            self.differ(cause, line, None, sent(message, payload, size))
        elif first.message != message or not self.is_as_recorded(first, payload, size):
            self.differ(cause, line, first, sent(message, payload, size))
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

    cdef bint look_for(self, line, queue, uint64_t cause) except -1:
        """Look ahead until the next effect of `line` is in its queue; False if the record holds no more."""
        cdef size_t looks = 0
        while not queue and line not in self.silent:
            looks += 1
            if looks == FAR and not self.waits_far_ahead(line, queue, cause):
                break
            if self.look(True) is None:
                self.silent.add(line)
        return len(queue) != 0

    cdef object look(self, bint keep):
        """Note one more effect, in full or only as the next one of its line; return that, None at the record's end."""
        line = self.find_effect(self.ahead)
        queue = self.queues.get(line)
        if queue is not None and (keep or not queue):
            queue.append(effect_at(self.ahead))
        return line

    cdef bint waits_far_ahead(self, line, queue, uint64_t cause) except -1:
        """Whether there is something for `cause` far ahead, so that all in between has to be kept until then.

        Where there is not, the answer is known without keeping anything: it is in the queue, or the line is silent.
        """
        cdef Effects scout = Effects(
            self.bus.reader(self.ahead.reader.cursor), self.end,
            self.colleagues_of(line & SOURCES), self.start,
        )
        try:
            while (found := self.find_effect(scout)) is not None:
                if found == line:
                    if cause_position(&scout.slot) == cause:
                        return True
                    queue.append(effect_at(scout))      # it differs, and the replay ends here
                    return False
        finally:
            scout.close()
        self.silent.add(line)
        return False

    cdef list colleagues_of(self, uint16_t source):
        """The sources in one worker with `source`."""
        place = self.lines[source][0] >> SOURCE_BITS
        return [one for one, (line, _) in self.lines.items() if line >> SOURCE_BITS == place]

    cdef object find_effect(self, Effects effects):
        """Go to the next effect, and note on the way how far the workers came; its line, None at the record's end."""
        cdef uint64_t cause
        if not effects.find():
            return None
        cause = cause_position(&effects.slot)
        line = self.line_at(effects.slot.header.source, cause)
        place = line >> SOURCE_BITS
        self.reached[place] = max(self.reached[place], cause)
        return line

    cdef object line_at(self, uint16_t source, uint64_t cause):
        """Return the line of what a source sends because of the message at `cause`."""
        line, shard_of = self.lines[source]
        return line if shard_of is None else line + line_of(0, shard_of(cause))

    cdef int differ(self, uint64_t position, line, Effect expected, actual) except -1:
        self.spent = True
        if self.difference is None or position < self.difference[0]:
            wanted = None if expected is None else (expected.message, expected.payload, expected.position)
            self.difference = (position, line & SOURCES, wanted, actual)
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


cdef object line_of(source, shard):
    return shard << SOURCE_BITS | source
