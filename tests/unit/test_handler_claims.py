"""Claims in place that handlers make, and the thread they belong to."""

import contextlib
import threading

import pytest

from nanobus import CircularBus, HandleInUseError, Handler, HandlerError, Messenger, NanobusError, Worker, on
from services import OUTSIDE, Number, Reading


@pytest.mark.parametrize("staged", [False, True])
def test_claim_of_a_handler_is_neither_entered_nor_left_in_another_thread(staged):
    errors = []

    def elsewhere(act, *arguments):
        def attempt():
            try:
                act(*arguments)
            except HandleInUseError as error:
                errors.append(str(error))

        thread = threading.Thread(target=attempt)
        thread.start()
        thread.join()

    class Careless(Handler, id=48):
        def on_start(self):
            with contextlib.ExitStack() as stack:
                if staged:                              # a second claim is in memory of its own
                    stack.enter_context(self.claim(Reading)).number = 1
                claim = self.claim(Reading)
                elsewhere(claim.__enter__)
                claim.__enter__().number = 2
                elsewhere(claim.__exit__, None, None, None)
                claim.__exit__(None, None, None)
            self.send(Number(-1))

    bus = CircularBus(1 << 16)
    observer = bus.reader(gate=False)
    with Messenger(bus, [Worker("a", [Careless])]).run() as handles:
        handles.stop()
    assert errors == ["a handler is used in its worker's thread; in another, use bus.sender()"] * 2
    records = [one for one in iter(lambda: observer.read(0), None) if one.message_id == 1103]
    assert [one.decode(Reading).number for one in records] == ([1, 2] if staged else [2])


def test_claim_in_memory_of_its_own_may_be_dropped_in_any_thread():
    class Dropping(Handler, id=49):
        def on_start(self):
            with self.claim(Reading):
                claims = [self.claim(Reading)]
                claims[0].__enter__()
                thread = threading.Thread(target=claims.clear)
                thread.start()
                thread.join()

    bus = CircularBus(1 << 16)
    observer = bus.reader(gate=False)
    with Messenger(bus, [Worker("a", [Dropping])]).run() as handles:
        handles.stop()
    assert [one.message_id for one in iter(lambda: observer.read(0), None)] == [1103]


@pytest.mark.parametrize("hook", ["on_start", "on_stop"])
def test_exit_in_a_hook_that_leaves_a_claim_open_is_told_whatever_the_policy(hook, caplog):
    def leave(self):
        self.claim(Reading).__enter__()
        raise SystemExit(3)

    leaving = type("Leaving", (Handler,), {hook: leave}, id=56)
    bus = CircularBus(1 << 16)
    with pytest.raises(HandlerError) as caught:
        with Messenger(bus, [Worker("a", [leaving], on_error="skip")]).run():
            pass
    assert isinstance(caught.value.__cause__, SystemExit)
    assert "returned with a claim open" in caplog.text
    assert bus.statistics().aborted == 1


@pytest.mark.parametrize("where", ["hook", "message"])
def test_a_claim_that_was_left_open_ends_before_anybody_is_told(where):
    told = []

    class Leaving(Handler, id=49):
        def on_start(self):
            if where == "hook":
                self.leave()

        @on(Number)
        def number(self, number):
            self.leave()

        def leave(self):
            self.claim(Reading).__enter__()
            self.stop()
            raise ValueError("on purpose")

    def judge(error):
        said = sender.send(Number(1))
        told.append((type(error.__cause__), said in [one.position for one in iter(lambda: observer.read(0), None)]))
        return True

    bus = CircularBus(1 << 16)
    sender, observer = bus.sender(OUTSIDE + 1), bus.reader(gate=False)
    with Messenger(bus, [Worker("a", [Leaving], {(OUTSIDE, Number): [Leaving]}, on_error=judge)]).run() as handles:
        if where == "message":
            bus.sender(OUTSIDE).send(Number(1))
        handles.join(30)
    assert told[:2] == [(ValueError, True), (NanobusError, True)]
