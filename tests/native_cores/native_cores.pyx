"""Native handlers of a user's own: a class with C state, one without a C method, and C functions."""
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t, uintptr_t
from libc.string cimport memset

from nanobus cimport NativeMessage, NativeService, send

cdef extern from "Python.h":
    int PyGILState_Check() noexcept nogil

cdef enum:
    ANSWER_ID = 1212
    FAILED = 7


cdef struct Question:
    int64_t value
    double weight

cdef struct Answer:
    int64_t value


cdef class AnsweringCore(NativeService):
    """Answers each question with its double; fails at negative ones, and where it cannot send."""
    cdef readonly uint64_t count
    cdef readonly double weight
    cdef readonly uint64_t with_gil
    cdef public int32_t last_status
    cdef public bint goes_on            # whatever sending says

    cdef int32_t receive(self, const NativeMessage *message, const void *payload) noexcept nogil:
        cdef const Question *question = <const Question *> payload
        cdef Answer answer
        self.with_gil += PyGILState_Check() == 1
        if question.value < 0:
            return FAILED
        self.count += 1
        self.weight += question.weight
        answer.value = 2 * question.value
        self.last_status = self.send_payload(ANSWER_ID, &answer, sizeof(answer))
        return 0 if self.goes_on else self.last_status


cdef class MuteCore(NativeService):
    """Forgets to have a C method."""


cdef struct Tally:
    uint64_t count
    uint64_t position
    uint64_t cause
    int64_t timestamp
    uint64_t size
    uint64_t source
    uint64_t message_id
    uint64_t with_gil
    uint64_t sum                        # of the values


cdef int32_t tally(const NativeMessage *message, const void *payload, void *outlet, void *state) noexcept nogil:
    """Count, and note what the last message was."""
    cdef Tally *known = <Tally *> state
    known.count += 1
    known.position = message.position
    known.cause = message.cause
    known.timestamp = message.timestamp
    known.size = message.size
    known.source = message.source
    known.message_id = message.message_id
    known.with_gil += PyGILState_Check() == 1
    if message.size >= sizeof(int64_t):
        known.sum += (<const int64_t *> payload)[0]
    return 0


cdef int32_t answer(const NativeMessage *message, const void *payload, void *outlet, void *state) noexcept nogil:
    """Answer as often as the state says; return what sending did."""
    cdef int64_t times = (<int64_t *> state)[0] if state != NULL else 1
    cdef Answer one
    cdef int32_t status = 0
    cdef int64_t number
    for number in range(times):
        one.value = (<const Question *> payload).value + number
        status = send(outlet, ANSWER_ID, &one, sizeof(one))
        if status:
            break
    return status


cdef int32_t send_badly(const NativeMessage *message, const void *payload, void *outlet, void *state) noexcept nogil:
    """Send what the state says, (message id, size), and note the status behind that; never fail."""
    cdef int64_t *wish = <int64_t *> state
    cdef char large[4096]
    memset(large, 0, sizeof(large))
    wish[2] = send(outlet, <uint16_t> wish[0], large, <uint32_t> wish[1])
    wish[3] = <int64_t> <uintptr_t> outlet
    return 0


cdef int32_t fail(const NativeMessage *message, const void *payload, void *outlet, void *state) noexcept nogil:
    return FAILED


ADDRESSES = {
    "tally": <uintptr_t> &tally,
    "answer": <uintptr_t> &answer,
    "send_badly": <uintptr_t> &send_badly,
    "fail": <uintptr_t> &fail,
}
TALLY_FIELDS = ("count", "position", "cause", "timestamp", "size", "source", "message_id", "with_gil", "sum")
