"""Workers whose processes die: who is told, what is settled, and how they go on."""

import os
import signal

import psutil
import pytest

from nanobus import CircularBus, HandlerError, JournalBus, Messenger, Worker, WorkerDiedError
from placed import (
    OUTSIDE,
    Claiming,
    DiesAtBirth,
    Distant,
    Listener,
    Oracle,
    Question,
    Reborn,
    Reply,
)
from programs import SECONDS, wait_until


def oracle(**options):
    return Worker("oracle", [Oracle], {(OUTSIDE, Question): [Oracle]}, process=True, **options)


def listener(**options):
    return Worker("listener", [Listener], {(Oracle, Reply): [Listener]}, **options)


def processes_of(seen):
    return {process for _, process in list(seen)}


@pytest.mark.parametrize(
    ("value", "exit_code", "name", "how"),
    [(-2, None, "SIGKILL", "was ended by SIGKILL"), (-3, 7, None, "exited with code 7")],
)
def test_death_of_a_process_ends_the_others_and_is_raised(tmp_path, value, exit_code, name, how):
    bus = CircularBus(1 << 16)
    config = {"seen": [], "notes": tmp_path / "notes"}
    other = Worker("other", [Distant], {(OUTSIDE, Question): [Distant]}, process=True)
    with pytest.raises(WorkerDiedError, match=f"the process of worker 'oracle' {how}") as caught:
        with Messenger(bus, [oracle(), other, listener()], config).run() as handles:
            sender = bus.sender(OUTSIDE)
            sender.send(Question(1))
            position = sender.send(Question(value))
            handles.join(SECONDS)
    error = caught.value
    assert (error.worker, error.exit_code, error.signal) == ("oracle", exit_code, name)
    assert error.position == position                       # of the message that it did not handle to its end
    assert (tmp_path / "notes").read_text().split()[-1] == "stopped"
    assert bus.statistics().readers == ()
    assert psutil.Process().children() == []


def test_death_of_a_process_leaves_no_claim_and_no_gate_behind():
    bus = CircularBus(4096)
    claiming = Worker("claiming", [Claiming], {(OUTSIDE, Question): [Claiming]}, process=True)
    with pytest.raises(WorkerDiedError):
        with Messenger(bus, [claiming], {}).run() as handles:
            bus.sender(OUTSIDE).send(Question(1))
            handles.join(SECONDS)
    statistics = bus.statistics()
    assert (statistics.sealed, statistics.readers) == (1, ())
    assert {one.process for one in statistics.writers} == {os.getpid()}
    for _ in range(20):
        bus.write(1, 1, bytes(1000), timeout=0)


def test_process_that_dies_before_it_is_built_lets_nobody_start(tmp_path):
    config = {"notes": tmp_path / "notes"}
    workers = [
        Worker("stillborn", [DiesAtBirth], process=True),
        Worker("distant", [Distant], {(OUTSIDE, Question): [Distant]}),
    ]
    bus = CircularBus(4096)
    with pytest.raises(WorkerDiedError, match="worker 'stillborn' exited with code 3") as caught:
        Messenger(bus, workers, config).run()
    assert caught.value.exit_code == 3
    assert "started" not in config["notes"].read_text()
    assert bus.statistics().readers == ()


def test_restarts_are_bounded():
    bus = CircularBus(1 << 16)
    worker = oracle(restart="on-failure", max_restarts=2, backoff=0.001)
    with pytest.raises(WorkerDiedError, match="was ended by SIGKILL.*after 2 restarts"):
        with Messenger(bus, [worker], {}).run() as handles:
            bus.sender(OUTSIDE).send(Question(-2))          # deadly each time
            handles.join(SECONDS)
    assert handles.statistics()["oracle"]["restarts"] == 2
    assert bus.statistics().readers == ()


def test_process_that_dies_at_birth_is_started_again_as_often_as_allowed():
    with pytest.raises(WorkerDiedError, match="exited with code 3.*after 1 restarts"):
        worker = Worker("stillborn", [DiesAtBirth], process=True, restart="on-failure", max_restarts=1, backoff=0)
        Messenger(CircularBus(4096), [worker]).run()


def kill_again_and_again(bus, workers, times, count):
    """Ask `count` questions, killing the process that answers after every part of them; return the answers."""
    config = {"seen": [], "enough": None}
    seen = config["seen"]
    with Messenger(bus, workers, config).run() as handles:
        sender = bus.sender(OUTSIDE)
        for part in range(times + 1):
            for value in range(part * count, (part + 1) * count):
                sender.send(Question(value))
            wait_until(lambda part=part: len({value for value, _ in list(seen)}) > part * count + count // 3)
            if part < times:
                [child] = psutil.Process().children()
                os.kill(child.pid, signal.SIGKILL)
                wait_until(lambda part=part: handles.statistics()["oracle"]["restarts"] == part + 1)
        wait_until(lambda: len({value for value, _ in list(seen)}) == (times + 1) * count)
    assert psutil.Process().children() == []
    return seen


def test_worker_with_a_cursor_is_restarted_there_and_answers_every_question_once(tmp_path):
    with JournalBus(tmp_path / "journal") as journal:
        workers = [oracle(cursor="oracle", restart="on-failure", max_restarts=10, backoff=0.001), listener()]
        seen = kill_again_and_again(journal, workers, 4, 200)
    assert [value for value, _ in seen] == list(range(1000))
    assert len(processes_of(seen)) > 1


@pytest.mark.parametrize("kind", ["ring", "journal"])
def test_worker_without_a_cursor_is_restarted_at_the_message_that_it_had_not_handled(tmp_path, kind):
    bus = CircularBus(1 << 14) if kind == "ring" else JournalBus(tmp_path / "journal")
    workers = [oracle(restart="on-failure", max_restarts=10, backoff=0.001), listener()]
    with bus:
        seen = kill_again_and_again(bus, workers, 3, 100)   # more than the ring holds
    values = [value for value, _ in seen]
    assert sorted(set(values)) == list(range(400))
    assert len(values) - 400 <= 3                           # what was sent, but not yet passed, is sent again


def test_writers_wait_for_the_next_life_of_a_dead_reader():
    bus = CircularBus(4096)
    config = {"seen": []}
    workers = [oracle(restart="on-failure", backoff=1), listener()]
    with Messenger(bus, workers, config).run() as handles:
        [child] = psutil.Process().children()
        os.kill(child.pid, signal.SIGKILL)
        wait_until(lambda: child.pid not in {one.process for one in bus.statistics().readers})
        sender = bus.sender(OUTSIDE)
        for value in range(300):
            sender.send(Question(value))                    # many times what the ring holds
        wait_until(lambda: len(config["seen"]) == 300)
    assert [value for value, _ in config["seen"]] == list(range(300))
    assert handles.statistics()["oracle"]["restarts"] == 1


def test_stop_that_drains_waits_for_the_next_life(tmp_path):
    config = {"notes": tmp_path / "notes"}
    worker = Worker(
        "reborn", [Reborn], {(OUTSIDE, Question): [Reborn]}, process=True, restart="on-failure", backoff=1000
    )
    bus = CircularBus(1 << 16)
    with Messenger(bus, [worker], config).run():
        for value in (0, -1, 1, 2):                         # -1 ends its first life
            bus.sender(OUTSIDE).send(Question(value))
    notes = config["notes"].read_text().split()
    assert notes == ["made", "started", "0", "made", "started", "-1", "1", "2", "stopped"]


def test_handlers_error_in_a_process_that_may_be_restarted_is_no_death():
    bus = CircularBus(1 << 16)
    with pytest.raises(HandlerError, match="no answer to this"):
        with Messenger(bus, [oracle(restart="on-failure")], {}).run() as handles:
            bus.sender(OUTSIDE).send(Question(-1))
            handles.join(SECONDS)
    assert handles.statistics()["oracle"]["restarts"] == 0


def test_killed_child_is_no_zombie_while_the_messenger_runs_on():
    bus = CircularBus(1 << 16)
    with Messenger(bus, [oracle(restart="on-failure", backoff=1000)], {}).run() as handles:
        [child] = psutil.Process().children()
        child.kill()
        wait_until(lambda: not psutil.pid_exists(child.pid))
        assert not handles.finished
        handles.stop(drain=False, timeout=SECONDS)
