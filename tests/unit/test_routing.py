"""Whatever is wrong with handlers and routing tables is said before anything runs, with the culprit's name."""

import warnings
from dataclasses import dataclass

import pytest

from nanobus import CircularBus, Handler, Messenger, RoutingError, RoutingWarning, Worker, every, message, on
from services import CODEC


@message(id=1001, codec=CODEC)
@dataclass
class Quote:
    price: float


@message(id=1002, codec=CODEC)
@dataclass
class Order:
    price: float


@message(id=1002, codec=CODEC)
@dataclass
class SameId:
    price: float


class Undeclared:
    pass


class Feed(Handler, id=1):
    pass


class Strategy(Handler, id=2):
    @on(Quote)
    def quote(self, quote):
        pass


class Risk(Handler, id=3):
    @on(Quote)
    @on(Order)
    def both(self, message):
        pass


class AlsoTwo(Handler, id=2):
    pass


class Nameless(Handler):
    pass


class Odd(Handler, id=4):
    @on(Undeclared)
    def odd(self, message):
        pass


class TakesSameId(Handler, id=5):
    @on(SameId)
    def same(self, message):
        pass


def messenger(*workers):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", RoutingWarning)
        return Messenger(CircularBus(4096), workers)


ROUTE = {(Feed, Quote): [Strategy]}


@pytest.mark.parametrize(
    ("workers", "text"),
    [
        (lambda: [Worker("a", [Feed], {(Feed, Quote): [Strategy]})],
         r"route \(Feed, Quote\) of worker 'a' names Strategy, which is not in that worker: it is in no worker"),
        (lambda: [Worker("a", [Feed], {(Feed, Quote): [Strategy]}), Worker("b", [Strategy])],
         "names Strategy, which is not in that worker: it is in 'b'"),
        (lambda: [Worker("a", [Feed, Strategy], {(Feed, Order): [Strategy]})],
         r"names Strategy, which has no @on\(Order\) method"),
        (lambda: [Worker("a", [Feed, Strategy], {(Feed, Quote): [Strategy, Strategy]})], "names Strategy twice"),
        (lambda: [Worker("a", [Feed]), Worker("b", [Feed])],
         "Feed is in worker 'a' and in worker 'b': a handler has one place"),
        (lambda: [Worker("a", [Feed, Feed])], "Feed is in worker 'a' and in worker 'a'"),
        (lambda: [Worker("a", [Feed]), Worker("a", [Strategy])], "two workers are named 'a'"),
        (lambda: [Worker("a", [Strategy, AlsoTwo])], "Strategy and AlsoTwo have one source id: 2"),
        (lambda: [Worker("a", [Strategy], {(AlsoTwo, Quote): [Strategy]})], "have one source id: 2"),
        (lambda: [Worker("a", [Risk, TakesSameId])], "Order and SameId have one message id: 1002"),
        (lambda: [Worker("a", [Odd])], "speaks of .*Undeclared.*, which is not a declared message"),
        (lambda: [Worker("a", [Strategy], {(Feed, 5): [Strategy]})], "speaks of 5, which is not a declared message"),
        (lambda: [Worker("a", [Nameless])], "a handler of worker 'a' must have an id, and Nameless has none"),
        (lambda: [Worker("a", [object])], "a handler of worker 'a' must be a subclass of Handler"),
        (lambda: [Worker("a", [Strategy], {("feed", Quote): [Strategy]})], "source of a route must be"),
        (lambda: [Worker("a", [Strategy], {(Feed, Quote): [Undeclared]})], "a receiver in the route"),
        (lambda: [Worker("a", [Strategy], {Quote: [Strategy]})], "got the key"),
        (lambda: [Worker("a", [Strategy], {(Feed, Quote): Strategy})], "got the receivers"),
        (lambda: [Worker("a", [Strategy], [1])], r"the routes of worker 'a' are .* got \[1\]"),
        (lambda: [Worker("a", [Strategy], {(Feed, Quote): [Strategy], (1, Quote): [Strategy]})], "is there twice"),
    ],
)
def test_table_that_contradicts_itself_is_refused(workers, text):
    with pytest.raises(RoutingError, match=text):
        messenger(*workers())


@pytest.mark.parametrize(
    ("arguments", "error", "text"),
    [
        ({"name": ""}, TypeError, "a worker's name must be a text"),
        ({"on_error": "ignore"}, ValueError, 'on_error must be "stop", "skip" or a callable'),
        ({"idle": 0}, ValueError, "idle must be > 0 seconds"),
        ({"idle": "1"}, ValueError, "idle must be > 0 seconds"),
        ({"outbox_limit": None}, ValueError, "outbox_limit must be >= 1024 bytes"),
        ({"outbox_limit": 10}, ValueError, "outbox_limit must be >= 1024 bytes"),
    ],
)
def test_bad_parameter_of_a_worker_is_refused(arguments, error, text):
    with pytest.raises(error, match=text):
        Worker(**{"name": "a", "handlers": [Feed], **arguments})


def test_messenger_wants_a_bus_and_workers():
    with pytest.raises(TypeError, match="bus must be a Bus"):
        Messenger(None, [])
    with pytest.raises(TypeError, match="workers must be Worker objects"):
        Messenger(CircularBus(4096), [Feed])


@pytest.mark.parametrize(
    ("worker", "text"),
    [
        (lambda: Worker("a", [Strategy], {(Feed, Quote): [Strategy]}), "can never fire: Feed is in no worker"),
        (lambda: Worker("a", [Strategy]), "Strategy.quote waits for Quote, and no route brings it"),
        (lambda: Worker("a", [Feed], {(Feed, Quote): []}), "has no receivers"),
    ],
)
def test_what_can_never_happen_is_warned_of(worker, text):
    with pytest.warns(RoutingWarning, match=text) as caught:
        Messenger(CircularBus(4096), [worker()])
    assert caught[0].filename == __file__


def test_route_from_an_id_outside_is_no_reason_to_warn():
    Messenger(CircularBus(4096), [Worker("a", [Strategy], {(99, Quote): [Strategy]})])


def test_two_methods_for_one_message_are_refused():
    with pytest.raises(RoutingError, match="Twice has two methods for Quote: first and second"):

        class Twice(Handler, id=9):
            @on(Quote)
            def first(self, quote):
                pass

            @on(Quote)
            def second(self, quote):
                pass


def test_subclass_inherits_and_overrides_methods_but_not_the_id():
    class Base(Handler, id=20):
        @on(Quote)
        def quote(self, quote):
            pass

        @every(1)
        def tick(self):
            pass

    class Derived(Base):
        @on(Order)
        def order(self, order):
            pass

    assert Derived.source_id is None
    assert Derived.receives == {Quote: "quote", Order: "order"}
    assert Derived.timers == ((1.0, "tick"),)


@pytest.mark.parametrize("seconds", [0, -1, 1e10, float("nan"), "1", True])
def test_period_must_be_a_duration(seconds):
    with pytest.raises(ValueError, match=r"@every takes seconds in 1e-6\.\.1e9"):
        every(seconds)


@pytest.mark.parametrize("types", [(), (5,), ("Quote",)])
def test_on_takes_classes(types):
    with pytest.raises(TypeError, match="@on takes message classes"):
        on(*types)


@pytest.mark.parametrize("source_id", [-1, 0xFF00, "1", 1.0])
def test_id_of_a_handler_is_checked_at_its_class(source_id):
    with pytest.raises((TypeError, ValueError), match="a source id must be"):

        class Bad(Handler, id=source_id):
            pass


def test_workers_and_handlers_may_come_from_an_iterator():
    made = Messenger(CircularBus(4096), (one for one in [Worker("a", (one for one in [Feed]))]))
    assert [worker.handlers for worker in made.workers] == [(Feed,)]
