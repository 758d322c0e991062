"""Who gets what, in which order, and what a worker holds back while the bus is full."""

import threading
import time

import pytest

from nanobus import (
    BusFullError,
    CircularBus,
    Handler,
    HandlerError,
    Messenger,
    Worker,
    on,
)
from services import OUTSIDE, Answer, AnswerKeeper, Doubler, Keeper, Number, Reading, SecondKeeper, run


def test_every_receiver_gets_the_message_in_the_order_of_its_route():
    seen = run(
        Worker("a", [Keeper, SecondKeeper], {(OUTSIDE, Number): [SecondKeeper, Keeper]}),
        send=[Number(1), Number(2), Number(-1)],
    )
    assert seen == [(name, value) for value in (1, 2, -1) for name in ("SecondKeeper", "Keeper")]


def test_message_goes_through_two_workers():
    seen = run(
        Worker("a", [Doubler], {(OUTSIDE, Number): [Doubler]}),
        Worker("b", [AnswerKeeper], {(Doubler, Answer): [AnswerKeeper]}),
        send=[Number(value) for value in (1, 2, 3, -1)],
    )
    assert seen == [2, 4, 6, -2]


def test_route_is_by_source_and_message():
    bus = CircularBus(1 << 16)
    stopped = threading.Event()

    class Last(Handler, id=14):
        @on(Number)
        def number(self, number):
            stopped.set()

    worker = Worker("a", [Keeper, Last], {(501, Number): [Keeper], (502, Number): [Last]})
    config = {"seen": []}
    with Messenger(bus, [worker], config).run() as handles:
        for source in (500, 501, 503, 502):
            bus.sender(source).send(Number(source))
        bus.write(501, 60000, b"an id nobody knows")
        assert stopped.wait(20)
        statistics = handles.statistics()["a"]
    assert config["seen"] == [("Keeper", 501)]
    assert statistics["handled"] == 2
    assert statistics["failures"] == statistics["held"] == 0


@pytest.mark.parametrize("mode", ["block", "error", "overwrite"])
def test_records_arrive_in_place_and_may_be_kept(mode):
    kept = []

    class RecordKeeper(Handler, id=15):
        @on(Reading)
        def reading(self, reading):
            if reading.number % 3 == 0:
                kept.append(reading)
            if reading.number == 999:
                self.stop()

    run(
        Worker("a", [RecordKeeper], {(OUTSIDE, Reading): [RecordKeeper]}), bus=CircularBus(1 << 17, overflow=mode),
        send=[Reading(value=number / 2, number=number) for number in range(1000)],
    )
    assert [(one.number, one.value) for one in kept] == [(number, number / 2) for number in range(0, 1000, 3)]


def test_record_claimed_in_place_by_a_handler_is_sent_behind_nothing_newer():
    class Claimer(Handler, id=16):
        def on_start(self):
            with self.claim(Reading) as outer:
                self.send(Number(2))
                with self.claim(Reading) as inner:
                    inner.number = 3
                outer.number = 1
            with pytest.raises(ZeroDivisionError), self.claim(Reading) as lost:
                lost.number = 1 // 0
            self.send(Number(4))

    class Order(Handler, id=17):
        @on(Reading)
        def reading(self, reading):
            self.config["seen"].append(reading.number)

        @on(Number)
        def number(self, number):
            self.config["seen"].append(number.value)
            if number.value == 4:
                self.stop()

    seen = run(
        Worker("a", [Claimer]), Worker("b", [Order], {(Claimer, Reading): [Order], (Claimer, Number): [Order]})
    )
    assert seen == [1, 2, 3, 4]


def test_what_is_sent_inside_a_claim_is_on_the_bus_when_the_claim_ends():
    class Claimer(Handler, id=18):
        def on_start(self):
            heads = [self.config["bus"].head]
            for end in (None, ZeroDivisionError):
                try:
                    with self.claim(Reading):
                        self.send(Number(1))
                        if end is not None:
                            raise end
                except ZeroDivisionError:
                    pass
                heads.append(self.config["bus"].statistics().committed)
            self.config["seen"] += heads
            self.stop()

    bus = CircularBus(1 << 16)
    config = {"seen": [], "bus": bus}
    with Messenger(bus, [Worker("a", [Claimer])], config).run() as handles:
        handles.join(30)
    assert config["seen"] == [0, 2, 3]


def test_what_is_sent_inside_a_claim_goes_behind_it_when_the_bus_is_full_too():
    class Claimer(Handler, id=19):
        def on_start(self):
            for number in range(500):                   # the ring holds 64 of them
                with self.claim(Reading) as outer:
                    self.send(Number(number))
                    with self.claim(Reading) as inner:
                        inner.number = number
                    outer.number = number
            self.stop()

    bus = CircularBus(4096)
    seen = []

    def read():
        with bus.reader() as reader:
            ready.set()
            seen.extend(reader.read() for _ in range(1500))

    ready = threading.Event()
    thread = threading.Thread(target=read)
    thread.start()
    ready.wait()
    with Messenger(bus, [Worker("a", [Claimer])]).run() as handles:
        handles.join(30)
    thread.join(30)
    assert [one.message_id for one in seen] == [1103, 1101, 1103] * 500
    assert bus.statistics().full


def test_cause_names_the_message_at_hand():
    bus = CircularBus(1 << 16)
    observer = bus.reader(gate=False)
    run(
        Worker("a", [Doubler], {(OUTSIDE, Number): [Doubler]}),
        Worker("b", [AnswerKeeper], {(Doubler, Answer): [AnswerKeeper]}),
        bus=bus, send=[Number(5), Number(-1)],
    )
    envelopes = list(iter(lambda: observer.read(0), None))
    causes = {one.decode(Number).value: one.position for one in envelopes if one.message_id == 1101}
    answers = [one for one in envelopes if one.message_id == 1102]
    assert [one.cause for one in answers] == [causes[5], causes[-1]]
    assert all(one.cause is None for one in envelopes if one.message_id == 1101)


def test_outbox_that_is_full_is_an_error_that_says_its_limit():
    class Flood(Handler, id=62):
        def on_start(self):
            for number in range(10_000):
                self.send(Number(number))

    bus = CircularBus(4096)
    stuck = bus.reader()
    with pytest.raises(HandlerError, match="its limit is 65536 bytes") as caught:
        with Messenger(bus, [Worker("a", [Flood], outbox_limit=65536)]).run() as handles:
            while handles.error is None:
                time.sleep(0.01)
            stuck.close()
    assert isinstance(caught.value.__cause__, BusFullError)


def test_bus_that_refuses_refuses_handlers_too():
    class Pushy(Handler, id=63):
        def on_start(self):
            for number in range(1000):
                self.send(Number(number))

    bus = CircularBus(4096, overflow="error")
    stuck = bus.reader()
    with pytest.raises(HandlerError) as caught, Messenger(bus, [Worker("a", [Pushy])]).run() as handles:
        handles.join(20)
    assert isinstance(caught.value.__cause__, BusFullError)
    assert stuck.lag
