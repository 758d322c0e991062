"""Replay of a journal: what its named cursors prove, and stay where they are; messages in the layouts of then."""

import pytest

from nanobus import (
    DivergenceError,
    Handler,
    JournalBus,
    Messenger,
    Record,
    SchemaMismatchError,
    Worker,
    f64,
    message,
    on,
    upcast,
)
from nanobus.bus.codec import find_codec
from services import OUTSIDE, Answer, Number


class Alarm(Handler, id=240):
    """Answers the numbers that the config names."""

    def __init__(self, config):
        super().__init__(config)
        self.seen = []

    @on(Number)
    def number(self, number):
        self.seen.append(number.value)
        if number.value in self.config:
            self.send(Answer(number.value))


def workers(cursor="alarms"):
    return [Worker("alarms", [Alarm], {(OUTSIDE, Number): [Alarm]}, cursor=cursor)]


def record(bus, values, config=()):
    with Messenger(bus, workers(), config).run(), bus.sender(OUTSIDE) as sender:
        return [sender.send(Number(value)) for value in values]


# ----------------------------------------------------------------------------------------------------- cursors


def test_replay_from_a_cursor_leaves_it_where_it_is():
    with JournalBus() as bus:
        record(bus, range(5))
        place = bus.cursors()["alarms"]
        bus.sender(OUTSIDE).send(Number(5))
        for mode in ("rebuild", "verify"):
            result = Messenger(bus, workers(), ()).replay(bus, mode, start="alarms")
            assert (result.first, result.handlers[Alarm].seen) == (place, [5])
        assert bus.cursors() == {"alarms": place}


def test_cursor_that_a_worker_reads_at_the_moment_can_be_replayed_from():
    with JournalBus() as bus:
        record(bus, range(3))
        bus.sender(OUTSIDE).send(Number(3))
        with bus.reader("alarms"):
            assert Messenger(bus, workers(), ()).replay(bus, start="alarms").messages == 1


@pytest.mark.parametrize("known", ["'alarms', 'bills'", "none"])
def test_cursor_that_there_is_not_is_refused_and_none_is_made(known):
    with JournalBus() as bus:
        bus.sender(OUTSIDE).send(Number(1))
        names = ("alarms", "bills") if known != "none" else ()
        for name in names:
            bus.reader(name).close()
        before = bus.cursors()
        with pytest.raises(ValueError, match=rf"a cursor that the journal has \({known}\), got 'alarm'"):
            Messenger(bus, workers(), ()).replay(bus, start="alarm")
        assert bus.cursors() == before


def test_send_that_the_record_lacks_for_a_message_that_its_workers_cursor_has_passed_is_a_difference():
    with JournalBus() as bus:
        positions = record(bus, range(5))
        assert bus.cursors() == {"alarms": bus.head}
        with pytest.raises(DivergenceError, match="the record holds nothing more, it sends Answer") as caught:
            Messenger(bus, workers(), range(5)).replay(bus, "verify")
        assert (caught.value.position, caught.value.handler) == (positions[0], Alarm)
        bus.sender(OUTSIDE).send(Number(5))             # which nobody has handled
        assert Messenger(bus, workers(), [5]).replay(bus, "verify").unfinished == 1


def test_cursor_of_another_worker_proves_nothing():
    with JournalBus() as bus:
        record(bus, range(5))
        assert Messenger(bus, workers(None), range(5)).replay(bus, "verify").unfinished == 5
        assert Messenger(bus, workers("other"), range(5)).replay(bus, "verify").unfinished == 5


# ----------------------------------------------------------------------------------------------------- layouts


@message(id=2401)
class OldPrice(Record):
    ask: f64
    bid: f64


@message(id=2401)
class Price(Record):
    bid: f64
    ask: f64


@message(id=2402)
class OldHint(Record):
    text: f64


@message(id=2402)
class Hint(Record):
    text: f64
    number: f64


@upcast(Price, from_fingerprint=find_codec(OldPrice).fingerprint)
def as_price(old):
    if old.bid < 0:
        raise ValueError("a price below zero")
    return Price(bid=old.bid, ask=old.ask)


class Pricer(Handler, id=241):
    """Sends `cls(...)` for each number: Price or OldPrice, Hint or OldHint."""

    cls = Price

    @on(Number)
    def number(self, number):
        self.send(self.config.get(number.value) or self.cls(bid=float(number.value), ask=number.value + 0.5))


class OldPricer(Pricer, id=241):
    cls = OldPrice


class PriceTaker(Handler, id=242):
    @on(Price)
    def price(self, price):
        """What a routed Price is, is settled by this."""


class OldPriceTaker(Handler, id=242):
    @on(OldPrice)
    def price(self, price):
        """Likewise."""


NOW = [Worker("a", [Pricer, PriceTaker], {(OUTSIDE, Number): [Pricer], (Pricer, Price): [PriceTaker]})]
THEN = [
    Worker("a", [OldPricer, OldPriceTaker], {(OUTSIDE, Number): [OldPricer], (OldPricer, OldPrice): [OldPriceTaker]})
]


def priced(path, config=None):
    """Three prices of then, and three of now; return the positions of the numbers."""
    positions = []
    for workers_of_the_time, values in ((THEN, (1, 2, 3)), (NOW, (4, 5, 6))):
        with JournalBus(path) as bus:
            with Messenger(bus, workers_of_the_time, config or {}).run(), bus.sender(OUTSIDE) as sender:
                positions += [sender.send(Number(value)) for value in values]
    return positions


def verified(path, config=None):
    with JournalBus(path) as bus:
        return Messenger(bus, NOW, config or {}).replay(bus, "verify")


def test_messages_in_an_old_layout_are_compared_as_the_class_of_today(tmp_path):
    priced(tmp_path)
    assert verified(tmp_path).compared == 6


def test_same_bytes_in_two_layouts_are_a_difference_and_the_old_ones_are_shown_as_they_were(tmp_path):
    positions = priced(tmp_path)
    with pytest.raises(DivergenceError) as caught:
        verified(tmp_path, {2: Price(bid=2.5, ask=2.0)})        # the bytes of OldPrice(ask=2.5, bid=2.0)
    error = caught.value
    assert (error.position, error.expected, error.actual) == (
        positions[1], Price(bid=2.0, ask=2.5), Price(bid=2.5, ask=2.0)
    )
    with pytest.raises(DivergenceError) as caught:
        verified(tmp_path, {5: Price(bid=0.0, ask=0.0)})
    assert (caught.value.position, caught.value.expected) == (positions[4], Price(bid=5.0, ask=5.5))


def test_message_that_its_upcast_refuses_is_a_difference_and_shown_as_bytes(tmp_path):
    positions = priced(tmp_path, {2: OldPrice(bid=-1.0, ask=0.0)})
    with pytest.raises(DivergenceError) as caught:
        verified(tmp_path)
    assert (caught.value.position, caught.value.actual) == (positions[1], Price(bid=2.0, ask=2.5))
    assert type(caught.value.expected) is bytes


def test_layout_that_nobody_can_compare_is_a_mismatch_and_no_difference(tmp_path):
    class Hinter(Handler, id=243):
        @on(Number)
        def number(self, number):
            self.send(self.config(1.0))

    class Taker(Handler, id=244):
        """Says which class of the id is meant, and has no route."""

        @on(Hint)
        def hint(self, hint):
            """Never called."""

    table = [Worker("a", [Hinter], {(OUTSIDE, Number): [Hinter]})]
    with JournalBus(tmp_path) as bus, Messenger(bus, table, OldHint).run(), bus.sender(OUTSIDE) as sender:
        sender.send(Number(1))
    with JournalBus(tmp_path) as bus:
        with pytest.warns(UserWarning, match="waits for Hint"):
            now = Messenger(bus, [*table, Worker("b", [Taker])], lambda text: Hint(text, 2.0))
        with pytest.raises(SchemaMismatchError, match="added    number: f64"):
            now.replay(bus, "verify")
        assert now.replay(bus).sends == 1
