"""Replay in verify mode: every send is compared with the record, and the first difference is raised."""

import threading
import time

import pytest

from nanobus import (
    CircularBus,
    DivergenceError,
    Handler,
    HandlerError,
    Messenger,
    Worker,
    every,
    on,
)
from services import OUTSIDE, Answer, Number, Reading


class Echo(Handler, id=120):
    """Answers four times; the first two as `config` says."""

    @on(Number)
    def number(self, number):
        for answer in self.config.get(("Echo", number.value), [Answer(number.value), Answer(-number.value)]):
            self.send(answer)
        with self.claim(Reading) as reading:
            reading.number = number.value
            self.send(Answer(1000 + number.value))


class Relay(Handler, id=121):
    """Answers the answers of another worker."""

    @on(Answer)
    def answer(self, answer):
        for number in self.config.get(("Relay", answer.value), [Number(answer.value)]):
            self.send(number)


class Ticking(Handler, id=122):
    def __init__(self, config):
        super().__init__(config)
        self.ticks = 0

    def on_start(self):
        self.send(Answer(0))

    def on_loop(self):
        if self.ticks == 0:
            self.send(Answer(1))

    def on_stop(self):
        self.send(Answer(2))

    @every(0.001)
    def tick(self):
        self.ticks += 1
        self.send(Number(self.ticks + int(self.random.random() * 1000) + self.now % 1000))


ECHO_WORKERS = [
    Worker("echo", [Echo], {(OUTSIDE, Number): [Echo]}),
    Worker("relay", [Relay], {(Echo, Answer): [Relay]}),
]
VALUES = range(20)


def record(workers=ECHO_WORKERS, values=VALUES, one_by_one=False):
    """Run until all is handled; return the bus and the position of the message that carried each value."""
    bus = CircularBus(1 << 22, timestamps=True)
    positions = {}
    with Messenger(bus, workers, {}).run():
        sender = bus.sender(OUTSIDE)
        for value in values:
            positions[value] = sender.send(Number(value))
            if one_by_one:
                settle(bus)
        settle(bus)
    return bus, positions


def settle(bus):
    """Until nobody sends any more."""
    head = -1
    while head != bus.head or any(reader.lag for reader in bus.statistics().readers):
        head = bus.head
        time.sleep(0.01)


def verify(bus, config=None, workers=ECHO_WORKERS, **arguments):
    return Messenger(bus, workers, config or {}).replay(bus, "verify", **arguments)


def test_an_honest_run_of_two_workers_is_verified():
    bus, _ = record(values=range(500))
    result = verify(bus)
    assert result.sends == result.compared == 500 * 4 + 500 * 3
    assert result.unfinished == 0


def test_ticks_random_numbers_and_the_clock_are_verified_and_sends_without_a_cause_are_not_compared():
    workers = [Worker("ticking", [Ticking])]
    bus = CircularBus(1 << 20, timestamps=True)
    with Messenger(bus, workers).run(), bus.reader() as reader:
        numbers = 0
        for _ in range(100_000):                        # what on_loop sends before the first tick
            numbers += reader.read(30).message_id == 1101
            if numbers == 6:
                break
    result = verify(bus, workers=workers)
    ticks = result.handlers[Ticking].ticks
    assert ticks >= 6
    assert result.sends == ticks + 2                    # on_start and on_stop
    assert result.compared + result.unfinished == ticks
    assert result.unfinished <= 1                       # the stop may have come before the last one was handled


def test_ticks_of_the_next_run_do_not_prove_that_the_last_one_had_handled_what_lies_before_them():
    class Timed(Handler, id=128):
        """Dies of the third question; by then there is a tick behind all of them."""

        @on(Number)
        def number(self, number):
            if "queued" in self.config:
                assert self.config["queued"].wait(30)
                if number.value == 2:
                    raise ValueError("two is too much")
            self.send(Answer(number.value))

        @every(0.1)
        def tick(self):
            if "ticked" in self.config:
                self.config["ticked"].set()

    workers = [Worker("timed", [Timed], {(OUTSIDE, Number): [Timed]})]
    bus = CircularBus(1 << 16, timestamps=True)
    queued, ticked = threading.Event(), threading.Event()
    with pytest.raises(HandlerError):
        with Messenger(bus, workers, {"queued": queued}).run() as handles, bus.sender(OUTSIDE) as sender:
            sender.send(Number(0))
            time.sleep(0.2)                             # a tick is due as soon as that is answered
            for value in (1, 2, 3):
                sender.send(Number(value))
            queued.set()
            handles.join(30)
    with Messenger(bus, workers, {"ticked": ticked}).run():
        assert ticked.wait(30)
    result = verify(bus, workers=workers)
    assert (result.compared, result.unfinished) == (2, 2)


def test_many_sends_for_one_message_that_lie_far_behind_it_are_verified():
    class Bulk(Handler, id=123):
        @on(Number)
        def number(self, number):
            for one in range(5000):
                self.send(Answer(one))

    workers = [Worker("bulk", [Bulk], {(OUTSIDE, Number): [Bulk]}), ECHO_WORKERS[0]]
    bus, _ = record(workers, range(4))
    result = verify(bus, workers=workers)
    assert result.compared == result.sends == 4 * 5000 + 4 * 4


def test_sends_that_went_through_the_outbox_are_verified():
    class Bulk(Handler, id=124):
        @on(Number)
        def number(self, number):
            for one in range(400):
                with self.claim(Reading) as reading:
                    reading.number = one
                    self.send(Answer(number.value))

    bus = CircularBus(1 << 14, timestamps=True)
    kept = CircularBus(1 << 22, timestamps=True)
    workers = [Worker("bulk", [Bulk], {(OUTSIDE, Number): [Bulk]})]
    copied = threading.Event()

    def copy():
        """What the small ring loses, with the same positions."""
        with bus.reader() as reader:
            ready.set()
            for _ in range(2 + 2 * 800):
                one = reader.read()
                assert kept.write(one.source, one.message_id, one.payload, cause=one.cause) == one.position
        copied.set()

    ready = threading.Event()
    thread = threading.Thread(target=copy)
    thread.start()
    ready.wait()
    with Messenger(bus, workers).run() as handles:
        sender = bus.sender(OUTSIDE)
        for value in range(2):
            sender.send(Number(value))
        assert copied.wait(30)
        assert handles.error is None
    thread.join()
    assert bus.statistics().full
    assert verify(kept, workers=workers).compared == 2 * 800


@pytest.mark.parametrize(
    ("answers", "expected", "actual"),
    [
        ([Answer(7), Answer(7)], Answer(-7), Answer(7)),
        ([Answer(-7), Answer(7)], Answer(7), Answer(-7)),
        ([Answer(7), Number(-7)], Answer(-7), Number(-7)),
        ([Answer(7)], Answer(-7), Reading(number=7)),
        ([Answer(7), Answer(-7), Answer(0)], Reading(number=7), Answer(0)),
    ],
    ids=["payload", "order", "class", "missing in between", "additional in between"],
)
def test_first_difference_is_raised_with_both_messages(answers, expected, actual):
    bus, positions = record()
    with pytest.raises(DivergenceError, match=f"Echo on Number at position {positions[7]} diverges") as caught:
        verify(bus, {("Echo", 7): answers, ("Echo", 9): []})
    error = caught.value
    assert (error.position, error.handler, error.expected, error.actual) == (positions[7], Echo, expected, actual)
    assert repr(error.expected) in str(error)
    assert repr(error.actual) in str(error)


class Answering(Handler, id=125):
    """Answers last what `config` says."""

    @on(Number)
    def number(self, number):
        for answer in self.config.get(number.value, [Answer(number.value)]):
            self.send(answer)


ANSWERING = [Worker("a", [Answering], {(OUTSIDE, Number): [Answering]})]


def test_send_that_is_missing_at_the_end_of_a_message_is_found_by_the_next_one():
    bus, positions = record(ANSWERING)
    with pytest.raises(DivergenceError, match="it sends nothing more") as caught:
        verify(bus, {5: []}, ANSWERING)
    error = caught.value
    assert (error.position, error.handler, error.expected, error.actual) == (positions[5], Answering, Answer(5), None)


def test_sends_that_are_missing_up_to_the_end_are_found_there():
    bus, positions = record(ANSWERING)
    with pytest.raises(DivergenceError) as caught:
        verify(bus, {value: [] for value in range(18, 20)}, ANSWERING)
    assert (caught.value.position, caught.value.expected) == (positions[18], Answer(18))
    with pytest.raises(DivergenceError) as caught:
        verify(bus, {value: [] for value in VALUES}, ANSWERING)
    assert caught.value.position == positions[0]


def test_additional_send_is_found_where_the_record_goes_on():
    bus, positions = record(ANSWERING)
    with pytest.raises(DivergenceError, match="the record holds nothing more, it sends Answer") as caught:
        verify(bus, {5: [Answer(5), Answer(6)]}, ANSWERING)
    assert (caught.value.position, caught.value.expected, caught.value.actual) == (positions[5], None, Answer(6))


def test_additional_send_of_a_handler_that_never_sent_is_found_by_what_its_worker_sent_later():
    class Alarm(Handler, id=126):
        @on(Number)
        def number(self, number):
            if number.value == self.config.get("alarm"):
                self.send(Answer(99))

    workers = [Worker("a", [Answering, Alarm], {(OUTSIDE, Number): [Answering, Alarm]})]
    bus, positions = record(workers)
    assert verify(bus, workers=workers).compared == len(VALUES)
    with pytest.raises(DivergenceError) as caught:
        verify(bus, {"alarm": 18}, workers)
    assert (caught.value.position, caught.value.handler, caught.value.expected) == (positions[18], Alarm, None)
    with pytest.raises(DivergenceError):
        verify(bus, {"alarm": 18}, workers, only=[Alarm])
    assert verify(bus, {"alarm": 19}, workers).unfinished == 1


def test_earliest_difference_is_raised_though_a_later_one_is_seen_first():
    bus, positions = record(values=range(10), one_by_one=True)
    silent = {("Relay", sign * value): [] for value in range(5, 2000) for sign in (1, -1)}
    with pytest.raises(DivergenceError) as caught:
        verify(bus, {**silent, ("Echo", 9): []})
    error = caught.value
    assert (error.handler, error.expected, error.actual) == (Relay, Number(1000), None)
    assert positions[0] < error.position < positions[1]
    silent.update({("Relay", 1000 + value): [Number(1000 + value)] for value in range(10)})
    with pytest.raises(DivergenceError) as caught:
        verify(bus, {**silent, ("Echo", 9): []})
    assert (caught.value.handler, caught.value.expected, caught.value.actual) == (Relay, Number(5), None)


class Flooding(Handler, id=127):
    @on(Number)
    def number(self, number):
        for _ in range(FLOOD):
            self.send(Answer(1))


FLOOD = 70_000                                          # more than a comparison keeps in memory for nothing
FLOODED = [Worker("b", [Answering], {(OUTSIDE, Number): [Answering]}),
           Worker("a", [Flooding], {(OUTSIDE, Number): [Flooding]})]


def flooded(*late):
    """One message, many answers to it of one handler, and then those of another one."""
    bus = CircularBus(1 << 23)
    positions = [bus.sender(OUTSIDE).send(Number(value)) for value in range(2)]
    answer = encoded(Answer(1))
    with bus.writer() as writer:
        for position in positions[:1]:
            for _ in range(FLOOD):
                writer.write(Flooding, 1102, answer, cause=position)
        for value, number in late:
            writer.write(Answering, 1102, encoded(Answer(number)), cause=positions[value])
    return bus, positions


def test_send_is_found_however_far_behind_those_of_others_it_lies():
    bus, positions = flooded((0, 0))
    result = verify(bus, workers=FLOODED, until=positions[1])
    assert result.compared == FLOOD + 1


@pytest.mark.parametrize(
    ("late", "position", "expected", "actual"),
    [([(0, 5)], 0, Answer(5), Answer(0)), ([(1, 1)], 0, None, Answer(0))],
    ids=["another one", "none for that message"],
)
def test_difference_is_found_however_far_behind_it_lies(late, position, expected, actual):
    bus, positions = flooded(*late)
    with pytest.raises(DivergenceError) as caught:
        verify(bus, workers=FLOODED)
    error = caught.value
    assert (error.position, error.expected, error.actual) == (positions[position], expected, actual)


def test_send_that_lies_nowhere_is_unfinished_however_long_the_record_goes_on():
    bus, positions = flooded()
    result = verify(bus, workers=FLOODED, until=positions[1])
    assert (result.compared, result.unfinished) == (FLOOD, 1)


def test_run_that_was_killed_leaves_an_unfinished_tail():
    bus = CircularBus(1 << 16, timestamps=True)
    sender = bus.sender(OUTSIDE)
    positions = [sender.send(Number(value)) for value in range(4)]
    payload = {value: Answer(value) for value in range(4)}
    with bus.writer() as writer:                        # what the killed worker had come to send
        for value in (0, 1):
            for _ in range(2 - value):
                writer.write(Answering, 1102, encoded(payload[value]), cause=positions[value])
    twice = {value: [Answer(value)] * 2 for value in range(4)}
    result = verify(bus, twice, ANSWERING)
    assert (result.sends, result.compared, result.unfinished) == (8, 3, 5)


def encoded(message):
    from nanobus.bus.codec import find_codec

    return find_codec(type(message)).encode_message(message)


def test_handler_may_move_to_another_worker():
    bus, _ = record()
    workers = [Worker("one", [Relay, Echo], {(OUTSIDE, Number): [Echo], (Echo, Answer): [Relay]})]
    assert verify(bus, workers=workers).compared == 7 * len(VALUES)


def test_only_and_until_limit_what_is_compared():
    bus, positions = record()
    wrong = {("Echo", 7): []}
    assert verify(bus, wrong, only=["relay"]).compared == 3 * len(VALUES)
    result = verify(bus, wrong, until=positions[7])
    assert result.unfinished == 0
    assert result.compared == result.sends > 0
    with pytest.raises(DivergenceError):
        verify(bus, wrong, until=positions[7] + 1)
    result = verify(bus, wrong, start=positions[8])
    assert result.compared == result.sends >= 4 * (len(VALUES) - 8)


def test_difference_that_a_handler_catches_is_raised_all_the_same():
    class Catching(Handler, id=125):
        @on(Number)
        def number(self, number):
            try:
                self.send(Answer(0))
            except Exception:
                raise AssertionError("a handler must not notice the replay") from None

    bus, positions = record(ANSWERING)
    with pytest.raises(DivergenceError) as caught:
        verify(bus, workers=[Worker("a", [Catching], {(OUTSIDE, Number): [Catching]})])
    assert caught.value.position == positions[1]


def test_error_of_a_handler_comes_after_earlier_differences_and_before_later_ones():
    class Failing(Handler, id=125):
        @on(Number)
        def number(self, number):
            if number.value == 5:
                raise ValueError("five is too much")
            if number.value != self.config.get("silent"):
                self.send(Answer(number.value))

    workers = [Worker("a", [Failing], {(OUTSIDE, Number): [Failing]})]
    bus, positions = record(ANSWERING)
    with pytest.raises(HandlerError) as failed:
        verify(bus, workers=workers)
    assert failed.value.position == positions[5]
    with pytest.raises(DivergenceError) as caught:
        verify(bus, {"silent": 4}, workers)
    assert caught.value.position == positions[4]
    assert "meanwhile a handler had failed" in caught.value.__notes__[0]


def test_message_that_nobody_can_decode_is_shown_as_bytes():
    bus = CircularBus(1 << 16)
    position = bus.sender(OUTSIDE).send(Number(1))
    bus.write(Answering, 1102, b"\xc1", cause=position)
    with pytest.raises(DivergenceError, match=r"the record holds message 1102, b'\\xc1'") as caught:
        verify(bus, workers=ANSWERING)
    assert caught.value.expected == b"\xc1"
    assert caught.value.actual == Answer(1)


def test_verifying_writes_nothing_and_leaves_no_reader():
    bus, _ = record()
    head = bus.head
    verify(bus)
    with pytest.raises(DivergenceError):
        verify(bus, {("Echo", 7): []})
    assert bus.head == head
    assert bus.statistics().readers == ()
