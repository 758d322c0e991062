"""Workers with a cursor: they go on where the last one was, and send nothing twice."""

import pytest

from nanobus import CircularBus, Handler, HandlerError, JournalBus, Messenger, RoutingError, Worker, on
from nanobus.bus.codec import find_codec
from nanobus.dispatch.known_sends import KnownSends
from services import OUTSIDE, Answer, Number, Reading


class RingWithCursors(CircularBus):
    """A ring large enough for all that flows, whose named cursors live as long as the object."""

    keeps_cursors = True

    def __init__(self):
        super().__init__(1 << 20)
        self.cursors = {}

    def reader(self, start="oldest", **options):
        if not isinstance(start, str) or start in ("oldest", "newest"):
            return super().reader(start, **options)
        last = self.cursors.get(start, 0)
        self.cursors[start] = super().reader(last if isinstance(last, int) else last.position, **options)
        return self.cursors[start]


class Cashier(Handler, id=140):
    """Two answers and a reading for each number; fails at one of them, between two sends, where the config says so."""

    @on(Number)
    def number(self, number):
        self.config["handled"].append(number.value)
        self.send(Answer(number.value))
        if number.value == self.config.get("fails_at"):
            raise ValueError("the power went")
        with self.claim(Reading) as reading:
            reading.number = number.value
            self.send(Answer(-number.value))
        if number.value == self.config["last"]:
            self.stop()


def live(bus, last, handlers=(Cashier,), **config):
    """Run one life of a worker, up to the number `last`; return what it handled."""
    config = {"handled": [], "last": last, **config}
    worker = Worker("cashier", handlers, {(OUTSIDE, Number): list(handlers)}, cursor="cashier")
    with Messenger(bus, [worker], config).run() as handles:
        handles.join(30)
    return config["handled"]


def filled(count=10):
    bus = RingWithCursors()
    sender = bus.sender(OUTSIDE)
    return bus, [sender.send(Number(number)) for number in range(count)]


def sends_of(bus, source):
    with bus.reader() as reader:
        found = [one for one in iter(lambda: reader.read(0), None) if one.source == source]
    return [
        (one.cause, one.decode(Answer).value if one.message_id == 1102 else ("reading", one.decode(Reading).number))
        for one in found
    ]


def all_answers(positions):
    return [
        (position, one)
        for value, position in enumerate(positions)
        for one in (value, ("reading", value), -value)
    ]


def test_worker_goes_on_where_the_last_one_was():
    bus, positions = filled()
    assert live(bus, 4) == list(range(10))              # `stop` lets it handle what is there
    sender = bus.sender(OUTSIDE)
    positions += [sender.send(Number(number)) for number in range(10, 15)]
    assert live(bus, 14) == list(range(10, 15))
    assert sends_of(bus, 140) == all_answers(positions)


def test_worker_that_failed_between_two_sends_sends_the_second_one_only():
    bus, positions = filled()
    with pytest.raises(HandlerError, match="the power went"):
        live(bus, 9, fails_at=5)
    assert sends_of(bus, 140) == all_answers(positions)[:16]
    assert live(bus, 9) == list(range(5, 10))
    assert sends_of(bus, 140) == all_answers(positions)


@pytest.mark.parametrize("cursor", [0, 3, 5])
def test_cursor_that_is_behind_lets_messages_be_handled_again_and_nothing_be_sent_again(cursor):
    bus, positions = filled()
    with pytest.raises(HandlerError):
        live(bus, 9, fails_at=5)
    bus.cursors["cashier"] = positions[cursor]
    assert live(bus, 9) == list(range(cursor, 10))
    assert sends_of(bus, 140) == all_answers(positions)
    assert bus.statistics().readers == ()


def test_worker_that_fails_again_and_again_ends_up_with_the_same():
    bus, positions = filled()
    for fails_at in (2, 2, 3, 7, 9):
        with pytest.raises(HandlerError):
            live(bus, 9, fails_at=fails_at)
        bus.cursors["cashier"] = positions[0]
    live(bus, 9)
    assert sends_of(bus, 140) == all_answers(positions)


def test_handlers_of_one_worker_are_told_apart():
    class Second(Cashier, id=141):
        @on(Number)
        def number(self, number):
            self.send(Answer(number.value))

    bus, positions = filled()
    with pytest.raises(HandlerError):
        live(bus, 9, (Cashier, Second), fails_at=5)
    assert len(sends_of(bus, 141)) == 5
    live(bus, 9, (Cashier, Second))
    assert sends_of(bus, 140) == all_answers(positions)
    assert sends_of(bus, 141) == [(position, value) for value, position in enumerate(positions)]


def test_additional_sends_are_written_and_so_is_what_has_no_cause():
    class Greeter(Cashier, id=142):
        def on_start(self):
            self.send(Answer(1000))

        @on(Number)
        def number(self, number):
            self.config["handled"].append(number.value)
            for _ in range(self.config["times"]):
                self.send(Answer(number.value))
            if number.value == self.config["last"]:
                self.stop()

    bus, positions = filled(3)
    live(bus, 2, (Greeter,), times=1)
    bus.cursors["cashier"] = positions[0]
    live(bus, 2, (Greeter,), times=2)
    assert sorted(sends_of(bus, 142), key=str) == sorted(
        [(None, 1000)] * 2 + [(position, value) for value, position in enumerate(positions)] * 2, key=str
    )


def test_known_sends_are_those_of_the_sources_for_messages_from_the_cursor_on():
    bus, positions = filled(4)
    with bus.writer() as writer:
        for cause in (0, 1, 1, 3):
            writer.write(Cashier, 1102, b"", cause=positions[cause])
        writer.write(141, 1102, b"", cause=positions[2])
        writer.write(Cashier, 1102, b"")
    assert KnownSends(bus, positions[0], [140]).left == 4
    assert KnownSends(bus, positions[1], [140]).left == 3
    assert KnownSends(bus, positions[1], [140, 141]).left == 4
    assert KnownSends(bus, positions[2], [140]).left == 1
    assert KnownSends(bus, bus.head, [140]).left == 0
    assert bus.statistics().readers == ()


def test_answer_of_a_former_life_is_on_the_disk_when_the_handler_goes_on(tmp_path):
    class Teller(Handler, id=144):
        @on(Number)
        def number(self, number):
            self.send(Answer(number.value))
            self.config.append((journal.durable, head))
            self.stop()

    with JournalBus(tmp_path) as journal:               # whose process died before the cursor went on
        journal.reader("mine").close()
        position = journal.sender(OUTSIDE).send(Number(1))
        with journal.writer() as writer:
            writer.write(Teller, 1102, find_codec(Answer).encode_message(Answer(1)), cause=position)
        head = journal.head
    seen = []
    with JournalBus(tmp_path, sync="commit", sync_interval=1000) as journal:
        assert journal.durable < head
        worker = Worker("teller", [Teller], {(OUTSIDE, Number): [Teller]}, cursor="mine")
        with Messenger(journal, [worker], seen).run() as handles:
            handles.join(30)
        assert journal.head == head                     # it was not sent again
    [(durable, end)] = seen
    assert durable >= end


def test_cursor_needs_a_bus_that_keeps_it():
    worker = Worker("a", [Cashier], {(OUTSIDE, Number): [Cashier]}, cursor="mine")
    with pytest.raises(RoutingError, match="worker 'a' has the cursor 'mine', and CircularBus keeps none"):
        Messenger(CircularBus(4096), [worker])


def test_cursor_belongs_to_one_worker():
    class Other(Cashier, id=143):
        pass

    workers = [
        Worker(one.__name__, [one], {(OUTSIDE, Number): [one]}, cursor="shared") for one in (Cashier, Other)
    ]
    with pytest.raises(RoutingError, match="workers 'Cashier' and 'Other' have one cursor, 'shared'"):
        Messenger(RingWithCursors(), workers)


@pytest.mark.parametrize("cursor", ["", "oldest", "newest", 3])
def test_cursor_is_a_name(cursor):
    with pytest.raises(ValueError, match='cursor must be a name other than "oldest" and "newest"'):
        Worker("a", [Cashier], cursor=cursor)
