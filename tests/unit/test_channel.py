"""The socket between a messenger and a worker's process."""

import os
import select
import socket
import subprocess
import sys
import textwrap
import threading

import pytest

from nanobus.processes import channel
from nanobus.processes.channel import LENGTH, Channel, open_pair
from nanobus.processes.words import Count

SECONDS = 60


@pytest.fixture
def ends():
    parent, stream = open_pair()
    child = Channel(stream)
    yield parent, child
    parent.close()
    child.close()


def receive(channel, count):
    """Receive until there are `count` words, or until the other end is closed."""
    words = []
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    while len(words) < count and not channel.closed:
        assert poll.poll(SECONDS * 1000), f"only {len(words)} words came"
        words += channel.receive()
    return words


def test_words_arrive_in_the_order_in_which_they_were_sent(ends):
    parent, child = ends
    for number in range(1000):
        child.send(Count(number))
    assert receive(parent, 1000) == [Count(number) for number in range(1000)]


def test_words_of_many_threads_are_never_mixed(ends):
    parent, child = ends
    threads = [
        threading.Thread(target=lambda letter=letter: [child.deliver(letter * 100_000) for _ in range(20)])
        for letter in "abcd"
    ]
    for thread in threads:
        thread.start()
    words = receive(parent, 80)
    for thread in threads:
        thread.join(SECONDS)
    assert sorted(words) == [letter * 100_000 for letter in "abcd" for _ in range(20)]


def test_delivered_word_can_be_read_at_once(ends):
    parent, child = ends
    child.deliver(Count(7))
    assert parent.receive() == [Count(7)]


def test_finished_channel_has_written_everything_and_says_so(ends):
    parent, child = ends
    child.send("x" * 1000)
    child.finish()
    child.deliver("lost")
    assert receive(parent, 2) == ["x" * 1000]
    assert parent.closed


def test_sender_does_not_wait_where_the_other_end_is_gone(ends):
    parent, child = ends
    parent.close()
    for _ in range(10):
        child.deliver("x" * 1_000_000)
    assert child.receive() == []
    assert child.closed


def test_word_that_is_delivered_surely_has_been_written(ends, monkeypatch):
    monkeypatch.setattr(channel, "PATIENCE_SECONDS", 0)
    parent, child = ends
    words = []
    reading = threading.Thread(target=lambda: words.extend(receive(parent, 1)))
    reading.start()
    child.deliver_surely("x" * 10_000_000)
    child.close()                                           # what was not written yet is lost
    reading.join(SECONDS)
    assert words == ["x" * 10_000_000]


def test_word_that_is_delivered_surely_waits_for_nobody_who_is_gone(ends):
    parent, child = ends
    parent.close()
    child.deliver_surely("x" * 10_000_000)
    assert child.receive() == []


def test_half_a_word_is_followed_by_nothing():
    own, others = socket.socketpair()
    own.setblocking(False)                                  # a send fails in the middle of a word
    channel = Channel(own)
    channel.deliver("x" * 10_000_000)
    channel.deliver("never")
    others.settimeout(SECONDS)
    arrived = b""
    while chunk := others.recv(1 << 20):
        arrived += chunk
    assert LENGTH.size < len(arrived) < 10_000_000
    channel.close()
    others.close()


def test_closing_ends_a_send_that_waits_for_room(ends):
    _, child = ends
    sent = child.send("x" * 10_000_000)
    child.close()
    assert sent.is_set()


@pytest.mark.parametrize("action", ["channel.deliver('from the handler')", "interrupt(frame)"])
def test_signal_handler_in_the_middle_of_a_send_tears_nothing(action):
    code = f"""
        import signal, threading
        from nanobus.processes import channel as patience
        from nanobus.processes.channel import Channel, open_pair

        patience.PATIENCE_SECONDS = 60
        parent, stream = open_pair()
        channel = Channel(stream)
        words = []

        def listen():
            while not parent.closed:
                words.extend(parent.receive())

        def interrupt(frame):
            if frame.f_globals["__name__"].startswith("nanobus"):       # else nobody catches it
                raise TimeoutError

        def handle(number, frame):
            global signals
            signals += 1
            {action}

        signals = sent = 0
        listening = threading.Thread(target=listen)
        listening.start()
        signal.signal(signal.SIGALRM, handle)
        signal.setitimer(signal.ITIMER_REAL, 0.001, 0.001)
        while signals < 200:
            try:
                channel.deliver("x" * 100_000)
            except TimeoutError:
                pass
        signal.setitimer(signal.ITIMER_REAL, 0)
        channel.deliver("last")
        channel.finish()
        listening.join()
        assert set(words) <= {{"x" * 100_000, "from the handler", "last"}}
        assert words[-1] == "last"
        print(words.count("from the handler") == (signals if "deliver" in {action!r} else 0))
    """
    run = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, timeout=120, env=os.environ,
    )
    assert (run.stdout, run.returncode) == ("True\n", 0), run.stderr
