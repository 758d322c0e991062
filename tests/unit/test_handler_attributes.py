"""What a handler is as a Python object: its attributes, and `send` among them."""

import gc
import pickle
import sys
import weakref

import pytest

from nanobus import CircularBus, Handler, NotRunningError, Worker, on
from nanobus.dispatch.outlet import Outlet
from nanobus.dispatch.worker_loop import bind
from services import OUTSIDE, Keeper, Number, run

INLINE_VALUES = 1 << 2                      # of a type's flags, from CPython 3.13 on


def bound(kind):
    """Return a handler in a worker of this thread, and its bus."""
    bus = CircularBus(1 << 16)
    handler = kind({"seen": []})
    bind(handler, kind.source_id, Outlet(bus.writer(), 1 << 16, lambda: None))
    return handler, bus


def test_a_handler_begins_with_its_own_attributes():
    assert Keeper.__basicsize__ == object.__basicsize__
    assert sys.version_info < (3, 13) or Keeper.__flags__ & INLINE_VALUES


def test_an_override_of_send_is_called_instead_and_reaches_what_it_overrides():
    class Doubling(Keeper, id=40):
        @on(Number)
        def number(self, number):
            if number.value > 0:
                self.send(Number(-number.value))
            super().number(number)

        def send(self, message):
            super().send(Number(message.value * 2))

    routes = {(OUTSIDE, Number): [Doubling], (Doubling, Number): [Doubling]}
    assert run(Worker("a", [Doubling], routes), send=[Number(4)]) == [("Doubling", 4), ("Doubling", -8)]


def test_a_send_that_a_handler_gives_itself_stays():
    class Spied(Handler, id=41):
        def __init__(self, config):
            super().__init__(config)
            self.send = config["seen"].append

        def on_start(self):
            self.send("said")
            self.stop()

    assert run(Worker("a", [Spied])) == ["said"]


def test_attributes_that_a_class_refuses_are_not_asked_for():
    class Closed(Handler, id=42):
        def __setattr__(self, name, value):
            raise AttributeError(f"{name} is not to be set")

        def __init__(self, config):
            pass

        def on_start(self):
            self.send(Number(1))
            self.stop()

    bus = CircularBus(1 << 16)
    reader = bus.reader()
    run(Worker("a", [Closed]), bus=bus)
    assert reader.read(0).source == 42


def test_a_handler_whose_worker_has_ended_says_so():
    handler, bus = bound(Keeper)
    handler.send(Number(1))
    end = bus.head
    bind(handler, Keeper.source_id, None)
    for use in (lambda: handler.send(Number(1)), lambda: Handler.send(handler, Number(1)), lambda: handler.now):
        with pytest.raises(NotRunningError, match="Keeper is in no running worker"):
            use()
    assert bus.head == end > 0


def test_a_bound_handler_is_freed_with_its_last_reference():
    class Mortal(Keeper, id=43):
        pass

    handler, _bus = bound(Mortal)
    gone = weakref.ref(handler)
    gc.disable()
    try:
        del handler
        assert gone() is None
    finally:
        gc.enable()


def test_what_a_handler_sends_with_is_not_pickled():
    handler, _bus = bound(Keeper)
    with pytest.raises(TypeError, match="what Keeper sends with cannot be pickled: save state by attribute"):
        pickle.dumps(vars(handler))
