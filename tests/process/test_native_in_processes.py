"""Native handlers in processes of their own, in shards, and killed in the middle of it."""

import os
import signal
import time

import psutil
import pytest

from nanobus import CircularBus, HandlerError, JournalBus, Messenger, Worker
from native_services import OUTSIDE, SECONDS, Answer, Question, fields


@pytest.fixture
def placed(native_cores):
    assert native_cores.ADDRESSES
    import native_placed  # it imports the compiled module, and so can a child

    return native_placed


def workers_of(placed, **options):
    routes = {(OUTSIDE, Question): [placed.PlacedAnswering]}
    return [
        Worker("native", [placed.PlacedAnswering], routes, process=True, **options),
        Worker("listening", [placed.PlacedListening], {(placed.PlacedAnswering, Answer): [placed.PlacedListening]}),
    ]


def wait_until(condition):
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.005)


def test_a_compiled_handler_answers_from_a_process_of_its_own(placed):
    bus, config = CircularBus(1 << 16), {"seen": [], "wanted": 500}
    with Messenger(bus, workers_of(placed), config).run() as handles:
        sender = bus.sender(OUTSIDE)
        for number in range(500):
            sender.send(Question(number, 0))
        handles.join(SECONDS)
    assert config["seen"] == [2 * number for number in range(500)]


def test_the_number_that_a_handler_returned_comes_back_from_its_process(placed):
    bus, config = CircularBus(1 << 16), {"seen": [], "wanted": 500}
    with pytest.raises(HandlerError, match="PlacedAnswering in worker 'native' failed on Question.*returned 7") as told:
        with Messenger(bus, workers_of(placed), config).run() as handles:
            bus.sender(OUTSIDE).send(Question(-1, 0))
            handles.join(SECONDS)
    assert told.value.message == Question(-1, 0)


def test_a_killed_native_worker_goes_on_at_its_cursor_and_answers_each_question_once(tmp_path, placed):
    part, kills = 2000, 3
    count = part * (kills + 1)
    config = {"seen": [], "wanted": count}
    with JournalBus(tmp_path / "journal") as journal:
        workers = workers_of(placed, cursor="native", restart="on-failure", max_restarts=kills, backoff=0.01)
        with Messenger(journal, workers, config).run() as handles:
            sender = journal.sender(OUTSIDE)
            for number in range(count):
                sender.send(Question(number, 0))
                if number % part == part - 1 and number < count - 1:
                    wait_until(lambda number=number: len(config["seen"]) > number - part + 100)
                    os.kill(psutil.Process().children()[0].pid, signal.SIGKILL)
            handles.join(SECONDS)
        with journal.reader("oldest") as reader:
            causes = [one.cause for one in iter(lambda: reader.read(0), None) if one.message_id == 1212]
    assert config["seen"] == [2 * number for number in range(count)]
    assert len(set(causes)) == count


def test_every_shard_handles_its_own_messages_with_a_state_of_its_own(tmp_path, placed, native_cores):
    bus = CircularBus(1 << 18)
    worker = Worker("summing", [placed.Summing], {(OUTSIDE, Question): [placed.Summing]}, shards=2, shard_by="value")
    with Messenger(bus, [worker], {"folder": tmp_path}).run() as handles:
        sender = bus.sender(OUTSIDE)
        for number in range(1000):
            sender.send(Question(number, 0))
        handles.stop(drain=True, timeout=SECONDS)
    tallies = [fields((tmp_path / name).read_bytes(), native_cores) for name in ("0", "1")]
    assert all(one["count"] for one in tallies)
    assert sum(one["count"] for one in tallies) == 1000
    assert sum(one["sum"] for one in tallies) == sum(range(1000))
    assert [one["with_gil"] for one in tallies] == [0, 0]
