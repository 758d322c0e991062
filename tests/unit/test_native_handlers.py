"""Handlers that are C functions: what they are called with, and what becomes of their errors."""

import ctypes

import pytest

from nanobus import (
    CircularBus,
    DecodeError,
    Handler,
    HandlerError,
    Messenger,
    NativeHandlerError,
    Worker,
    every,
    native,
    on,
)
from nanobus.natives import MESSAGE_FIELDS
from native_services import (
    NO_CAUSE,
    OUTSIDE,
    SECONDS,
    End,
    Ending,
    Question,
    Raw,
    answering,
    fields,
    run,
    tallying,
)


def test_a_function_is_called_with_what_the_slot_says(native_cores):
    bus = CircularBus(1 << 16, timestamps=True)
    handler, _, positions = run(tallying(native_cores), Question(5, 0.5), Question(6, 0.5), bus=bus)
    seen = fields(handler.tally, native_cores)
    assert (seen["count"], seen["sum"], seen["size"]) == (2, 11, 16)
    assert (seen["position"], seen["cause"]) == (positions[-1], NO_CAUSE)
    assert (seen["source"], seen["message_id"]) == (OUTSIDE, 1211)
    assert seen["timestamp"] == bus.read(positions[-1]).timestamp != 0


def test_a_function_is_called_without_the_gil(native_cores):
    handler, *_ = run(tallying(native_cores), *[Question(1, 0)] * 2000)
    seen = fields(handler.tally, native_cores)
    assert (seen["count"], seen["with_gil"]) == (2000, 0)


def test_raw_bytes_of_any_size_are_handed_over_as_they_are(native_cores):
    class Wide(tallying(native_cores)):
        raws = on(Raw)(native(native_cores.ADDRESSES["tally"], state="tally"))

    handler, *_ = run(Wide, Raw(b""), Raw(bytes(1000)))
    seen = fields(handler.tally, native_cores)
    assert (seen["count"], seen["size"], seen["message_id"]) == (2, 1000, 1213)


def test_a_class_with_c_state_answers(native_cores):
    handler, answers, _ = run(answering(native_cores), *[Question(number, 0.5) for number in range(1000)])
    assert answers == [2 * number for number in range(1000)]
    assert (handler.count, handler.weight, handler.with_gil) == (1000, 500.0, 0)


def test_python_and_native_receivers_of_one_message_take_turns_in_table_order(native_cores):
    order = []

    def noting(name):
        @ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)
        def note(message, payload, outlet, state):
            order.append(name)
            return 0

        return note

    class First(Handler, id=83):
        questions = on(Question)(native(noting("first")))

    class Second(Handler, id=84):
        @on(Question)
        def question(self, question):
            order.append(question.value)

    class Third(Handler, id=85):
        questions = on(Question)(native(noting("third")))

    bus = CircularBus(1 << 16)
    routes = {(OUTSIDE, Question): [First, Second, Third], (OUTSIDE, End): [Ending]}
    with Messenger(bus, [Worker("a", [Third, Second, First, Ending], routes)]).run() as handles:
        for one in (Question(1, 0), Question(2, 0), End(0)):
            bus.sender(OUTSIDE).send(one)
        handles.join(SECONDS)
    assert order == ["first", 1, "third", "first", 2, "third"]


def test_a_number_other_than_0_is_an_error_of_the_handler(native_cores):
    class Failing(Handler):
        questions = on(Question)(native(native_cores.ADDRESSES["fail"]))

    with pytest.raises(HandlerError, match=r"Kept in worker 'native' failed on Question at position 0.* 7") as told:
        run(Failing, Question(5, 0.5), Question(6, 0.5))
    error = told.value
    assert (error.position, error.message, error.worker) == (0, Question(5, 0.5), "native")
    assert isinstance(error.__cause__, NativeHandlerError)
    assert error.__cause__.code == 7


def test_an_error_is_skipped_where_the_policy_says_so(native_cores):
    errors = []
    messages = [Question(value, 0) for value in (1, -1, 2, -2, 3)]
    _, answers, _ = run(answering(native_cores), *messages, on_error=lambda error: errors.append(error) or True)
    assert answers == [2, 4, 6]
    assert [error.message.value for error in errors] == [-1, -2]
    assert [error.__cause__.code for error in errors] == [7, 7]
    assert run.statistics["native"]["failures"] == 2


def test_a_failing_native_receiver_keeps_the_message_from_nobody_else(native_cores):
    made = []

    class Failing(Handler, id=86):
        questions = on(Question)(native(native_cores.ADDRESSES["fail"]))

    class Behind(tallying(native_cores), id=87):
        def on_start(self):
            made.append(self)

    bus = CircularBus(1 << 16)
    routes = {(OUTSIDE, Question): [Failing, Behind], (OUTSIDE, End): [Ending]}
    worker = Worker("a", [Failing, Behind, Ending], routes, on_error=lambda error: True)
    with Messenger(bus, [worker]).run() as handles:
        for one in (Question(1, 0), Question(2, 0), End(0)):
            bus.sender(OUTSIDE).send(one)
        handles.join(SECONDS)
    assert fields(made[0].tally, native_cores)["count"] == 2


def test_a_payload_of_another_size_is_the_same_error_as_for_a_python_handler(native_cores):
    class Python(Handler):
        @on(Question)
        def question(self, question):
            pass

    told = []
    for receiver in (tallying(native_cores), Python):
        bus = CircularBus(1 << 16)
        errors = []

        class Kept(receiver, id=88):
            pass

        routes = {(OUTSIDE, Question): [Kept], (OUTSIDE, End): [Ending]}
        worker = Worker("a", [Kept, Ending], routes, on_error=lambda error, errors=errors: errors.append(error) or True)
        with Messenger(bus, [worker]).run() as handles:
            bus.write(OUTSIDE, 1211, b"short")
            bus.sender(OUTSIDE).send(End(0))
            handles.join(SECONDS)
        told.append([(str(error), error.handler, error.position, type(error.__cause__)) for error in errors])
    assert told[0] == told[1]
    assert told[0][0][3] is DecodeError


def test_a_class_that_overrides_nothing_is_told_so(native_cores):
    class Mute(native_cores.MuteCore, Handler):
        questions = on(Question)(native())

    with pytest.raises(HandlerError, match="does not override the C method `receive`"):
        run(Mute, Question(1, 0))


def test_timers_hooks_and_stops_go_on_beside_native_messages(native_cores):
    class Busy(tallying(native_cores)):
        def __init__(self, config):
            super().__init__(config)
            self.ticks = self.turns = 0

        @every(0.001)
        def tick(self):
            self.ticks += 1
            if self.ticks == 5:
                self.stop()

        def on_loop(self):
            self.turns += 1

    class Kept(Busy, id=92):
        def on_start(self):
            made.append(self)

    made = []
    bus = CircularBus(1 << 16)
    with Messenger(bus, [Worker("a", [Kept], {(OUTSIDE, Question): [Kept]})]).run() as handles:
        sender = bus.sender(OUTSIDE)
        while not handles.statistics()["a"]["handled"] or made[0].ticks < 5:
            sender.send(Question(1, 0))
        handles.join(SECONDS)
    assert made[0].ticks >= 5
    assert made[0].turns > 0
    assert fields(made[0].tally, native_cores)["with_gil"] == 0


def test_a_stop_that_drains_handles_every_native_message_before_it(native_cores):
    class Kept(tallying(native_cores), id=93):
        def on_start(self):
            made.append(self)

    made = []
    bus = CircularBus(1 << 20)
    with Messenger(bus, [Worker("a", [Kept], {(OUTSIDE, Question): [Kept]})]).run() as handles:
        sender = bus.sender(OUTSIDE)
        for _ in range(5000):
            sender.send(Question(1, 0))
        handles.stop(drain=True, timeout=SECONDS)
        assert fields(made[0].tally, native_cores)["count"] == 5000


def test_the_message_struct_is_as_ctypes_and_numpy_read_it(native_cores):
    numpy = pytest.importorskip("numpy")
    assert numpy.dtype(MESSAGE_FIELDS).itemsize == 32
    seen = []

    @ctypes.CFUNCTYPE(ctypes.c_int32, *[ctypes.c_void_p] * 4)
    def note(message, payload, outlet, state):
        seen.append(numpy.frombuffer(ctypes.string_at(message, 32), MESSAGE_FIELDS)[0].tolist())
        return 0

    class Noting(Handler):
        questions = on(Question)(native(note))

    _, _, (position,) = run(Noting, Question(1, 0))
    assert seen == [(position, NO_CAUSE, 0, 16, OUTSIDE, 1211)]
