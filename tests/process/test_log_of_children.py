"""What a program's logging handlers do, in the parent, and what they cannot hold up there."""

import logging
import threading

import pytest

from nanobus import CircularBus, HandlerError, Messenger, Worker, WorkerDiedError
from placed import OUTSIDE, Oracle, Question
from programs import SECONDS, run_program, wait_until


class Blocking(logging.Handler):
    """Blocks until it is freed, then keeps what it was given."""

    def __init__(self):
        super().__init__()
        self.begun, self.freed = threading.Event(), threading.Event()
        self.kept = []

    def emit(self, record):
        self.begun.set()
        assert self.freed.wait(2 * SECONDS)
        self.kept.append(record.getMessage())


@pytest.mark.parametrize(("value", "failure"), [(-1, HandlerError), (-2, WorkerDiedError)])
def test_failure_is_told_while_a_logging_handler_blocks(value, failure):
    blocking = Blocking()
    logging.getLogger("oracle").addHandler(blocking)
    bus = CircularBus(1 << 16)
    worker = Worker("oracle", [Oracle], {(OUTSIDE, Question): [Oracle]}, process=True)
    try:
        with pytest.raises(failure):
            with Messenger(bus, [worker], {}).run() as handles:
                sender = bus.sender(OUTSIDE)
                for _ in range(100):
                    sender.send(Question(-5))               # logs
                sender.send(Question(value))
                try:
                    wait_until(lambda: handles.error is not None)
                    assert blocking.begun.wait(SECONDS)
                    assert not blocking.kept
                finally:
                    blocking.freed.set()
        wait_until(lambda: len(blocking.kept) == 100)
    finally:
        logging.getLogger("oracle").removeHandler(blocking)
    assert blocking.kept == ["asked -5 by somebody"] * 100


def test_record_that_a_handler_takes_its_time_for_outlives_the_main_thread():
    code = """
        import logging, threading, time
        from nanobus import CircularBus, Messenger, Worker
        from placed import OUTSIDE, Oracle, Question

        class Slow(logging.Handler):
            def handle(self, record):                       # not emit: logging waits for that one at exit
                begun.set()
                while threading.main_thread().is_alive():
                    time.sleep(0.005)
                time.sleep(0.2)                             # for the interpreter to end, if it does not wait
                print(record.getMessage(), flush=True)

        begun = threading.Event()
        logging.getLogger("oracle").addHandler(Slow())
        bus = CircularBus(1 << 16)
        Messenger(bus, [Worker("oracle", [Oracle], {(OUTSIDE, Question): [Oracle]}, process=True)], {}).run()
        bus.sender(OUTSIDE).send(Question(-5))
        assert begun.wait(60)
    """
    assert "asked -5 by somebody\n" in run_program(code)[0]


def test_error_that_the_parent_is_slow_to_read_is_not_lost():
    code = """
        from nanobus import CircularBus, HandlerError, Messenger, Worker
        from nanobus.processes import channel
        from placed import OUTSIDE, Oracle, Question

        channel.PATIENCE_SECONDS = 0                        # no reader is as fast as that
        bus = CircularBus(1 << 16)
        worker = Worker("oracle", [Oracle], {(OUTSIDE, Question): [Oracle]}, process="fork")
        try:
            with Messenger(bus, [worker], {}).run() as handles:
                bus.sender(OUTSIDE).send(Question(-11))     # a long error
                handles.join(60)
        except HandlerError as error:
            print(len(error.__cause__.args[0]))
    """
    assert run_program(code)[0] == "10000000\n"
