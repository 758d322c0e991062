"""What a handler is as a Python object: its attributes, and `send` among them."""

import gc
import pickle
import sys
import weakref
from unittest import mock

import pytest

from nanobus import CircularBus, Handler, NotRunningError, Worker, on
from nanobus.dispatch.outlet import Outlet
from nanobus.dispatch.service import Service, bind
from services import OUTSIDE, Keeper, Number, run

INLINE_VALUES = 1 << 2                      # of a type's flags, from CPython 3.13 on


def bound(kind):
    """Return a handler in a worker of this thread, and its bus."""
    bus = CircularBus(1 << 16)
    handler = kind({"seen": []})
    bind(handler, kind.source_id, Outlet(bus.writer(), 1 << 16, lambda: None))
    return handler, bus


def test_a_handler_begins_with_its_own_attributes():
    assert Service.__basicsize__ == object.__basicsize__
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


@pytest.mark.parametrize("wrong", [None, 1, object(), Keeper], ids=repr)
def test_methods_are_called_with_a_handler(wrong):
    uses = (lambda: Handler.send(wrong, Number(1)), lambda: Handler.stop(wrong), lambda: Handler.claim(wrong, Number))
    for use in uses:
        with pytest.raises(TypeError, match=rf"needed, not {type(wrong).__qualname__}|requires a .* object"):
            use()


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


def test_the_attributes_of_a_handler_are_its_own():
    handler, _bus = bound(Keeper)
    assert pickle.loads(pickle.dumps(vars(handler))) == {"config": {"seen": []}}


def test_a_handler_may_clear_replace_and_share_its_attributes():
    shared = {}

    class Borg(Handler, id=44):
        def __init__(self, config):
            self.__dict__ = shared

        @on(Number)
        def number(self, number):
            vars(self).clear()
            vars(self).update(number=number.value, shard=self.shard)
            self.send(Number(-number.value))
            self.stop()

    class SecondBorg(Borg, id=45):
        pass

    bus = CircularBus(1 << 16)
    reader = bus.reader()
    routes = {(OUTSIDE, Number): [Borg, SecondBorg]}
    run(Worker("a", [Borg, SecondBorg], routes), bus=bus, send=[Number(4)])
    assert shared == {"number": 4, "shard": 0}
    assert [one.source for one in iter(lambda: reader.read(0), None)] == [OUTSIDE, 44, 45]


def test_many_handlers_of_a_thread_send_in_their_own_names():
    kinds = [type(f"One{number}", (Keeper,), {}, id=200 + number) for number in range(40)]
    bus = CircularBus(1 << 16)
    outlet = Outlet(bus.writer(), 1 << 16, lambda: None)
    for _ in range(3):                      # addresses come again
        handlers = [kind({}) for kind in kinds]
        for handler in handlers:
            bind(handler, handler.source_id, outlet)
        reader = bus.reader("newest")
        for handler in (*handlers, *reversed(handlers)):
            handler.send(Number(1))
        sources = [one.source for one in iter(lambda: reader.read(0), None)]  # noqa: B023  called here
        assert sources == [*range(200, 240), *reversed(range(200, 240))]
        for handler in handlers[::2]:       # the others die bound
            bind(handler, handler.source_id, None)
        del handlers, handler


def test_a_patched_send_reaches_handlers_that_run():
    handler, bus = bound(Keeper)
    with mock.patch.object(Keeper, "send") as send:
        handler.send("said")
    send.assert_called_once_with("said")
    assert bus.head == 0
