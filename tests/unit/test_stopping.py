"""Stopping: draining, time limits, interrupts, running again."""

import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from nanobus import (
    CircularBus,
    Handler,
    HandlerError,
    Messenger,
    NanobusError,
    StopTimeoutError,
    Worker,
    message,
    on,
    running,
)
from programs import wait_until
from services import OUTSIDE, Keeper, Number


@message(id=1150)
class Note(bytes):
    pass


class Patient(Handler, id=50):
    @on(Number)
    def number(self, number):
        time.sleep(0.001)
        self.config["seen"].append(number.value)


def test_stop_drains_what_was_on_the_bus_at_the_call():
    bus = CircularBus(1 << 16)
    config = {"seen": []}
    messenger = Messenger(bus, [Worker("a", [Patient], {(OUTSIDE, Number): [Patient]})], config)
    with messenger.run():
        sender = bus.sender(OUTSIDE)
        for number in range(100):
            sender.send(Number(number))
        messenger.stop(drain=True)
        assert config["seen"] == list(range(100))


def test_stop_without_draining_ends_after_the_message_at_hand():
    asked = threading.Event()

    class Held(Handler, id=55):
        @on(Number)
        def number(self, number):
            self.config["seen"].append(number.value)
            asked.wait(20)

    bus = CircularBus(1 << 16)
    config = {"seen": []}
    messenger = Messenger(bus, [Worker("a", [Held], {(OUTSIDE, Number): [Held]})], config)
    with messenger.run() as handles:
        sender = bus.sender(OUTSIDE)
        for number in range(500):
            sender.send(Number(number))
        wait_until(lambda: config["seen"])
        handles.request_stop(drain=False)
        asked.set()
        messenger.stop(drain=False)
    assert config["seen"] == [0]


def test_stop_says_who_is_still_busy():
    release = threading.Event()

    class Busy(Handler, id=51):
        @on(Number)
        def number(self, number):
            release.wait(20)

    bus = CircularBus(1 << 16)
    messenger = Messenger(bus, [Worker("busy bee", [Busy], {(OUTSIDE, Number): [Busy]})])
    handles = messenger.run()
    bus.sender(OUTSIDE).send(Number(1))
    with pytest.raises(StopTimeoutError, match="still running after 0.05 s: 'busy bee'"):
        messenger.stop(timeout=0.05)
    with pytest.raises(NanobusError, match="runs already"):
        messenger.run()
    release.set()
    handles.join(20)


def test_messenger_runs_again_with_new_handlers():
    bus = CircularBus(1 << 16)
    config = {"seen": []}
    messenger = Messenger(bus, [Worker("a", [Keeper], {(OUTSIDE, Number): [Keeper]})], config)
    for value in (1, 2):
        with messenger.run():
            bus.sender(OUTSIDE).send(Number(value))
    messenger.stop()
    assert config["seen"] == [("Keeper", 1), ("Keeper", 2)]
    assert bus.statistics().readers == ()


def test_messenger_without_workers_runs_and_ends():
    with Messenger(CircularBus(4096), []).run() as handles:
        handles.join(1)


def test_last_words_wait_for_room_without_asking_all_the_time(monkeypatch):
    class Talker(Handler, id=55):
        def on_stop(self):
            for _ in range(4):
                self.send(Note(bytes(1500)))

    monkeypatch.setattr(running, "LAST_FLUSH_SECONDS", 0.2)
    bus = CircularBus(4096)
    stuck = bus.reader()
    with pytest.raises(HandlerError, match="lost 2 messages: no room for them within 0.2 s"):
        with Messenger(bus, [Worker("a", [Talker])]).run():
            pass
    assert stuck.lag
    assert bus.statistics().full < 1000


SCRIPT = """
    import sys, time
    from nanobus import CircularBus, Handler, Messenger, Worker, every

    class Ticker(Handler, id=1):
        @every(0.01)
        def tick(self):
            pass

        def on_stop(self):
            print("stopped in order", flush=True)

    with Messenger(CircularBus(1 << 16), [Worker("a", [Ticker])]).run() as handles:
        print("running", flush=True)
        {wait}
"""


@pytest.mark.parametrize("wait", ["handles.join()", "time.sleep(60)"])
def test_interrupt_stops_and_drains_before_it_is_raised(wait):
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(SCRIPT.format(wait=wait))],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
    )
    assert process.stdout.readline() == "running\n"
    time.sleep(0.1)
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert out == "stopped in order\n"
    assert "KeyboardInterrupt" in err
    assert process.returncode == -signal.SIGINT


def test_what_a_handler_said_before_it_asked_for_the_stop_is_handled():
    class Talkative(Handler, id=54):
        def on_start(self):
            for number in range(501):
                self.send(Number(number))
            self.stop()

    config = {"seen": []}
    workers = [Worker("a", [Talkative]), Worker("b", [Patient], {(Talkative, Number): [Patient]})]
    with Messenger(CircularBus(4096), workers, config).run() as handles:
        handles.join(30)
    assert config["seen"] == list(range(501))


DRAINING = """
    import sys, time
    from nanobus import CircularBus, Handler, Messenger, Record, Worker, message, on, u64

    @message(id=1)
    class Number(Record):
        value: u64

    class Slow(Handler, id=1):
        count = 0

        @on(Number)
        def number(self, number):
            time.sleep(0.05)
            self.count += 1

        def on_stop(self):
            print(self.count, flush=True)

    bus = CircularBus(1 << 16)
    with Messenger(bus, [Worker("a", [Slow], {(9, Number): [Slow]})]).run() as handles:
        for value in range(10):
            bus.sender(9).send(Number(value))
        print("running", flush=True)
        handles.join()
"""


def test_interrupted_join_drains():
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(DRAINING)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert process.stdout.readline() == "running\n"
    os.kill(process.pid, signal.SIGINT)
    out, err = process.communicate(timeout=30)
    assert out == "10\n"
    assert "KeyboardInterrupt" in err
