"""Handler methods that take several messages at once."""

import ctypes
import threading

import pytest

from nanobus import (
    CircularBus,
    Handler,
    HandlerError,
    JournalBus,
    MessageError,
    Messenger,
    NanobusError,
    Record,
    RoutingError,
    Worker,
    f64,
    i64,
    message,
    native,
    on,
)
from nanobus.batching import dtype_of

numpy = pytest.importorskip("numpy")

OUTSIDE = 500
SECONDS = 30


@message(id=1301)
class Quote(Record):
    number: i64
    bid: f64


@message(id=1302)
class Other(Record):
    number: i64


@message(id=1303)
class Total(Record):
    count: i64


@message(id=1304)
class Struct(ctypes.Structure):
    _fields_ = (("number", ctypes.c_int64), ("flag", ctypes.c_uint8))


@message(id=1305)
class Unheard(Record):
    number: i64


class Batching(Handler):
    """Notes its batches in a list of the config; a negative number is the last one."""

    def __init__(self, config):
        super().__init__(config)
        self.notes = config

    @on(Quote, batch=True)
    def quotes(self, quotes, positions):
        self.notes.append((quotes, positions))
        if quotes["number"][-1] < 0:
            self.stop()


def run(handler_class, messages, bus=None, routes=None, before=True, handlers=(), **options):
    """Let a worker find `messages` on the bus, all at once if `before`; return (notes, positions)."""
    notes, positions = [], []

    class Kept(handler_class, id=90):
        def on_start(self):
            if before:                              # the worker reads from here on, and finds all of them
                positions.extend(sender.send(one) for one in messages)

    bus = bus or CircularBus(1 << 18)
    sender = bus.sender(OUTSIDE)
    routes = {(OUTSIDE, Quote): [Kept], **(routes or {})}
    with Messenger(bus, [Worker("a", [Kept, *handlers], routes, **options)], notes).run() as handles:
        if not before:
            positions = [sender.send(one) for one in messages]
        handles.join(SECONDS)
    return notes, positions


def quotes(*numbers):
    return [Quote(number, number / 2) for number in numbers]


def test_what_lies_on_the_bus_comes_as_one_array_with_its_positions():
    notes, sent = run(Batching, quotes(*range(999), -1))
    (batch, positions), = notes
    assert batch["number"].tolist() == [*range(999), -1]
    assert batch["bid"].tolist() == [number / 2 for number in (*range(999), -1)]
    assert positions.tolist() == sent
    assert batch.dtype == numpy.asarray(Quote(0, 0)).dtype
    assert batch.flags.c_contiguous


def test_a_batch_may_be_kept_and_written_to():
    bus = CircularBus(1 << 14)
    notes, _ = run(Batching, quotes(*range(2000), -1), bus=bus, before=False)
    assert numpy.concatenate([batch for batch, _ in notes])["number"].tolist() == [*range(2000), -1]
    notes[0][0]["number"] = 7
    assert all(positions.dtype == numpy.uint64 for _, positions in notes)


def test_a_batch_has_at_most_so_many_messages():
    class Few(Batching):
        @on(Quote, batch=10)
        def quotes(self, quotes, positions):
            super().quotes(quotes, positions)

    notes, _ = run(Few, quotes(*range(24), -1))
    assert [len(batch) for batch, _ in notes] == [10, 10, 5]


def test_a_message_for_another_method_ends_a_batch_and_one_for_nobody_does_not():
    class Both(Batching):
        @on(Other)
        def other(self, other):
            self.notes.append(other.number)

    class Kept(Both, id=91):
        def on_start(self):
            for one in (*quotes(1, 2), Unheard(0), *quotes(3), Other(4), *quotes(5, -1)):
                sender.send(one)

    notes, bus = [], CircularBus(1 << 16)
    sender = bus.sender(OUTSIDE)
    routes = {(OUTSIDE, Quote): [Kept], (OUTSIDE, Other): [Kept]}
    with Messenger(bus, [Worker("a", [Kept], routes)], notes).run() as handles:
        handles.join(SECONDS)
        statistics = handles.statistics()["a"]
    assert [one if isinstance(one, int) else one[0]["number"].tolist() for one in notes] == [[1, 2, 3], 4, [5, -1]]
    assert (statistics["handled"], statistics["skipped"]) == (6, 1)


def test_a_batch_is_of_one_source():
    class Kept(Batching, id=92):
        def on_start(self):
            for source, number in ((1, 1), (1, 2), (2, 3), (1, -4)):
                bus.sender(source).send(Quote(number, 0))

    notes, bus = [], CircularBus(1 << 16)
    worker = Worker("a", [Kept], {(1, Quote): [Kept], (2, Quote): [Kept]})
    with Messenger(bus, [worker], notes).run() as handles:
        handles.join(SECONDS)
    assert [batch["number"].tolist() for batch, _ in notes] == [[1, 2], [3], [-4]]


def test_ctypes_structures_come_in_batches():
    class Structs(Handler, id=93):
        def on_start(self):
            for number in (1, 2, 3):
                bus.sender(OUTSIDE).send(Struct(number, number == 3))

        @on(Struct, batch=True)
        def structs(self, structs, positions):
            self.config.append(structs)
            self.stop()

    notes, bus = [], CircularBus(1 << 16)
    with Messenger(bus, [Worker("a", [Structs], {(OUTSIDE, Struct): [Structs]})], notes).run() as handles:
        handles.join(SECONDS)
    assert notes[0]["number"].tolist() == [1, 2, 3]
    assert notes[0]["flag"].tolist() == [0, 0, 1]


def test_fields_that_a_structure_inherits_are_where_they_lie():
    class Derived(Struct):
        _fields_ = (("more", ctypes.c_uint16 * 3), ("inner", Struct))

    message(Derived, id=1307)
    dtype = dtype_of(Derived)
    one = Derived(number=5, flag=1, more=(1, 2, 3), inner=Struct(number=6, flag=7))
    [row] = numpy.frombuffer(bytes(one), dtype)
    assert (row["number"], row["flag"], row["more"].tolist(), row["inner"]["number"]) == (5, 1, [1, 2, 3], 6)
    assert dtype.itemsize == ctypes.sizeof(Derived)


@pytest.mark.parametrize(
    ("fields", "text"), [([("bits", ctypes.c_uint8, 3)], "some that are bits"), ([("text", ctypes.c_wchar * 4)], "")]
)
def test_structures_that_numpy_cannot_describe_are_refused_by_name(fields, text):
    kind = type("Odd", (ctypes.Structure,), {"_fields_": fields})
    message(kind, id=1308)

    class Odds(Handler, id=94):
        @on(kind, batch=True)
        def odds(self, odds, positions):
            pass

    with pytest.raises(RoutingError, match=f"Odds.odds: numpy has no dtype for Odd.*{text}"):
        Messenger(CircularBus(1 << 14), [Worker("a", [Odds], {(OUTSIDE, kind): [Odds]})])


def test_a_claim_left_open_in_a_batch_that_may_not_send_sends_nothing(tmp_path):
    class Claiming(Handler, id=96):
        @on(Quote, batch=True)
        def quotes(self, quotes, positions):
            with pytest.raises(NanobusError, match="a batch handler sends nothing"):
                with self.claim(Total):
                    pass
            self.claim(Total).__enter__()
            self.send(Total(1))

    with JournalBus(tmp_path / "journal") as bus:
        worker = Worker("a", [Claiming], {(OUTSIDE, Quote): [Claiming]}, cursor="a")
        with pytest.raises(HandlerError):
            with Messenger(bus, [worker]).run() as handles:
                bus.sender(OUTSIDE).send(Quote(1, 1.0))
                handles.join(SECONDS)
        assert [one.message_id for one in iter_all(bus)] == [1301]


@pytest.mark.parametrize("policy", ["stop", "skip"])
def test_what_a_batch_raises_is_told_also_where_it_left_a_claim_open(tmp_path, policy):
    class Leaving(Handler, id=99):
        @on(Quote, batch=True)
        def quotes(self, quotes, positions):
            self.claim(Total).__enter__()
            raise SystemExit(3)

    with JournalBus(tmp_path / "journal") as bus:
        worker = Worker("a", [Leaving], {(OUTSIDE, Quote): [Leaving]}, cursor="a", on_error=policy)
        bus.sender(OUTSIDE).send(Quote(1, 1.0))
        with pytest.raises(HandlerError) as told, Messenger(bus, [worker]).run() as handles:
            handles.join(SECONDS)
        assert isinstance(told.value.__cause__, SystemExit)
        assert [one.message_id for one in iter_all(bus)] == [1301]


def iter_all(bus):
    reader = bus.reader()
    return list(iter(lambda: reader.read(0), None))


def test_a_send_in_a_batch_has_the_last_message_as_its_cause():
    class Sending(Batching):
        @on(Quote, batch=True)
        def quotes(self, quotes, positions):
            self.send(Total(len(quotes)))
            self.stop()

    bus = CircularBus(1 << 16)
    _, sent = run(Sending, quotes(1, 2, 3), bus=bus)
    with bus.reader("oldest") as reader:
        total, = [one for one in iter(lambda: reader.read(0), None) if one.message_id == 1303]
    assert (total.decode(Total).count, total.cause) == (3, sent[-1])


def test_an_error_is_one_of_the_whole_batch_at_its_first_message():
    class Failing(Batching):
        @on(Quote, batch=3)
        def quotes(self, quotes, positions):
            super().quotes(quotes, positions)
            if 5 in quotes["number"]:
                raise ValueError("five")

    errors = []
    notes, sent = run(Failing, quotes(*range(7), -1), on_error=lambda error: errors.append(error) or True)
    assert [len(batch) for batch, _ in notes] == [3, 3, 2]
    assert [(error.position, str(error.__cause__)) for error in errors] == [(sent[3], "five")]
    with pytest.raises(HandlerError, match=f"failed at position {sent[3]}: ValueError: five"):
        run(Failing, quotes(*range(7), -1))


def test_a_payload_of_another_size_ends_a_batch_and_is_an_error_alone():
    class Kept(Batching, id=94):
        def on_start(self):
            for one in (*quotes(1, 2), None, *quotes(3, -1)):
                if one is None:
                    bus.write(OUTSIDE, 1301, b"short")
                else:
                    bus.sender(OUTSIDE).send(one)

    notes, errors, bus = [], [], CircularBus(1 << 16)
    worker = Worker("a", [Kept], {(OUTSIDE, Quote): [Kept]}, on_error=lambda error: errors.append(error) or True)
    with Messenger(bus, [worker], notes).run() as handles:
        handles.join(SECONDS)
    assert [batch["number"].tolist() for batch, _ in notes] == [[1, 2], [3, -1]]
    assert len(errors) == 1
    assert "must have 16 bytes, got 5" in str(errors[0])


@pytest.mark.parametrize("open_bus", [lambda _: CircularBus(1 << 16), lambda folder: JournalBus(folder / "journal")])
def test_the_place_on_the_bus_is_before_the_batch_until_the_method_returns(tmp_path, open_bus):
    places = []

    class Looking(Batching):
        @on(Quote, batch=True)
        def quotes(self, quotes, positions):
            places.append((min(one.position for one in bus.statistics().readers), int(positions[0])))
            super().quotes(quotes, positions)

    with open_bus(tmp_path) as bus:
        run(Looking, quotes(*range(50), -1), bus=bus)
    assert all(place == first for place, first in places)


def test_what_a_batch_has_passed_makes_room_on_a_full_ring():
    notes, _ = run(Batching, quotes(*range(5000), -1), bus=CircularBus(4096), before=False)
    assert sum(len(batch) for batch, _ in notes) == 5001


def test_an_error_that_stops_leaves_the_cursor_before_the_batch(tmp_path):
    class Failing(Batching):
        @on(Quote, batch=4)
        def quotes(self, quotes, positions):
            if 5 in quotes["number"] and not self.notes:
                self.notes.append("failed")
                raise ValueError("five")
            self.notes.append(quotes["number"].tolist())
            if quotes["number"][-1] < 0:
                self.stop()

    class Kept(Failing, id=95):
        pass

    notes = []
    with JournalBus(tmp_path / "journal") as journal:
        worker = Worker("a", [Kept], {(OUTSIDE, Quote): [Kept]}, cursor="a")
        sender = journal.sender(OUTSIDE)
        sent = [sender.send(one) for one in quotes(5, 6, 7, 8, 9, -1)]
        with pytest.raises(HandlerError, match="five"), Messenger(journal, [worker], notes).run() as handles:
            handles.join(SECONDS)
        assert journal.cursors()["a"] == sent[0]
        with Messenger(journal, [worker], notes).run() as handles:
            handles.join(SECONDS)
        assert notes == ["failed", [5, 6, 7, 8], [9, -1]]
        assert journal.cursors()["a"] == journal.head


def test_a_replay_hands_over_each_message_alone():
    class Kept(Batching, id=96):
        pass

    bus = CircularBus(1 << 16)
    sender = bus.sender(OUTSIDE)
    positions = [sender.send(one) for one in quotes(1, 2, 3)]
    notes = []
    messenger = Messenger(bus, [Worker("a", [Kept], {(OUTSIDE, Quote): [Kept]})], notes)
    for mode in ("rebuild", "verify"):
        notes.clear()
        messenger.replay(bus, mode)
        assert [(batch["number"].tolist(), where.tolist()) for batch, where in notes] == [
            ([number], [position]) for number, position in zip((1, 2, 3), positions, strict=True)
        ]


def test_what_must_come_again_the_same_is_not_sent_from_a_batch(tmp_path):
    class Sending(Batching, id=97):
        @on(Quote, batch=True)
        def quotes(self, quotes, positions):
            self.send(Total(len(quotes)))

    with JournalBus(tmp_path / "journal") as journal:
        journal.sender(OUTSIDE).send(Quote(1, 0))
        routes = {(OUTSIDE, Quote): [Sending]}
        messenger = Messenger(journal, [Worker("a", [Sending], routes)])
        with pytest.raises(HandlerError, match="a batch handler sends nothing in a worker with a cursor"):
            messenger.replay(journal, "verify")
        assert messenger.replay(journal).sends == 1         # rebuilt: nobody compares
        with pytest.raises(HandlerError, match="a batch handler sends nothing") as told:
            with Messenger(journal, [Worker("a", [Sending], routes, cursor="a")]).run() as handles:
                handles.join(SECONDS)
        assert type(told.value.__cause__) is NanobusError


def test_a_batch_that_is_overtaken_on_the_way_says_so():
    gaps, go_on = [], threading.Event()

    class Slow(Batching):
        @on(Quote, batch=4)
        def quotes(self, quotes, positions):
            go_on.wait(SECONDS)
            super().quotes(quotes, positions)

        def on_gap(self, gap):
            gaps.append(gap)

    class Kept(Slow, id=98):
        pass

    notes, bus = [], CircularBus(4096, overflow="overwrite")
    with Messenger(bus, [Worker("a", [Kept], {(OUTSIDE, Quote): [Kept]})], notes).run() as handles:
        sender = bus.sender(OUTSIDE)
        for one in quotes(*range(500), -1):
            sender.send(one)
        go_on.set()
        handles.join(SECONDS)
    seen = sum(len(batch) for batch, _ in notes)
    assert gaps
    assert seen + sum(gap.resumed_at - gap.first_lost for gap in gaps) // 64 == 501


@pytest.mark.parametrize("batch", [0, -1, 2**24 + 1])
def test_the_size_of_a_batch_has_limits(batch):
    with pytest.raises(ValueError, match="batch must be 1 to"):
        on(Quote, batch=batch)


def test_batches_are_refused_where_they_cannot_be():
    with pytest.raises(TypeError, match="batch must be True"):
        on(Quote, batch="yes")
    with pytest.raises(TypeError, match="a native method takes messages one by one"):
        on(Quote, batch=True)(native(1))

    @message(id=1306)
    class Raw(bytes):
        pass

    class Bytes(Handler, id=1):
        @on(Raw, batch=True)
        def raws(self, raws, positions):
            pass

    class Large(Handler, id=2):
        @on(Quote, batch=2**23)
        def quotes(self, quotes, positions):
            pass

    class First(Batching, id=3):
        pass

    class Second(Handler, id=4):
        @on(Quote)
        def quote(self, quote):
            pass

    def check(*handlers, kind=Quote):
        Messenger(CircularBus(1 << 14), [Worker("a", handlers, {(OUTSIDE, kind): list(handlers)})])

    with pytest.raises(RoutingError, match="a batch is an array of Records or ctypes.*of raw") as told:
        check(Bytes, kind=Raw)
    assert isinstance(told.value.__cause__, MessageError)
    with pytest.raises(RoutingError, match="Large.quotes takes batches of 8388608 x 16 bytes, at most 67108864"):
        check(Large)
    with pytest.raises(RoutingError, match="First, which takes Quote in batches, beside others"):
        check(Second, First)


def test_an_override_of_a_batch_method_is_what_it_says_itself():
    class Alone(Batching):
        @on(Quote)
        def quotes(self, quote):
            pass

    class Same(Batching):
        def quotes(self, quotes, positions):
            pass

    class Out(Batching):
        quotes = None

    assert (Batching.batch_limits, Same.batch_limits) == ({Quote: 4096}, {Quote: 4096})
    assert (Alone.batch_limits, Out.batch_limits) == ({}, {})

