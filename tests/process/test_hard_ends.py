"""Children that end in every other way than the orderly one, and parents that fail them: nothing hangs, all is told."""

import logging
import os
import signal

import psutil
import pytest

from nanobus import (
    BusClosedError,
    CircularBus,
    HandlerError,
    JournalBus,
    Messenger,
    NanobusError,
    RoutingError,
    Worker,
)
from nanobus.processes import lives, supervision
from placed import OUTSIDE, Distant, FrozenError, Listener, OneLife, Oracle, Question, Reborn, Reply
from programs import SECONDS, run_program, wait_until


def oracle(**options):
    return Worker("oracle", [Oracle], {(OUTSIDE, Question): [Oracle]}, process=True, **options)


def listener():
    return Worker("listener", [Listener], {(Oracle, Reply): [Listener]})


def distant(handler=Distant, **options):
    return Worker("distant", [handler], {(OUTSIDE, Question): [handler]}, process=True, **options)


def only_child():
    [child] = psutil.Process().children()
    return child


# ---- what goes wrong in the parent while it listens


def test_parent_that_fails_while_it_listens_kills_the_child_and_says_why(monkeypatch):
    def fail(report, worker):
        raise LookupError("not handled")

    monkeypatch.setattr(supervision, "handler_error", fail)
    bus = CircularBus(1 << 16)
    with pytest.raises(NanobusError, match="worker 'oracle' cannot have a process: LookupError: not handled") as caught:
        with Messenger(bus, [oracle()], {}).run() as handles:
            bus.sender(OUTSIDE).send(Question(-1))
            handles.join(SECONDS)
    assert isinstance(caught.value.__cause__, LookupError)
    assert psutil.Process().children() == []
    assert bus.statistics().readers == ()
    assert {one.process for one in bus.statistics().writers} == {os.getpid()}


def test_filter_of_the_parent_that_raises_ends_nothing(capsys):
    def refuse(record):
        raise LookupError("no such record")

    logger = logging.getLogger("oracle")
    logger.addFilter(refuse)
    bus = CircularBus(1 << 16)
    config = {"seen": [], "enough": 2}
    try:
        with Messenger(bus, [oracle(), listener()], config).run() as handles:
            sender = bus.sender(OUTSIDE)
            sender.send(Question(-5))
            sender.send(Question(1))
            handles.join(SECONDS)
    finally:
        logger.removeFilter(refuse)
    assert [value for value, _ in config["seen"]] == [-5, 1]
    assert "LookupError: no such record" in capsys.readouterr().err


def test_error_that_nobody_may_change_is_raised_with_its_traceback():
    bus = CircularBus(1 << 16)
    with pytest.raises(HandlerError) as caught:
        with Messenger(bus, [oracle()], {}).run() as handles:
            bus.sender(OUTSIDE).send(Question(-9))
            handles.join(SECONDS)
    assert (type(caught.value.__cause__), caught.value.__cause__.args) == (FrozenError, (-9,))
    assert "raise FrozenError(question.value)" in str(caught.value.__cause__.__cause__)


@pytest.mark.parametrize("kind", ["ring", "journal"])
def test_bus_that_is_closed_meanwhile_is_told_by_join(tmp_path, kind):
    bus = CircularBus(1 << 16) if kind == "ring" else JournalBus(tmp_path / "journal")
    handles = Messenger(bus, [oracle()], {}).run()
    bus.close()
    with pytest.raises(HandlerError, match="worker 'oracle' failed: BusClosedError: the bus of this") as caught:
        handles.join(SECONDS)
    assert isinstance(caught.value.__cause__, BusClosedError)
    assert psutil.Process().children() == []


def test_bus_that_is_closed_between_two_lives_ends_the_worker():
    bus = CircularBus(1 << 16)
    handles = Messenger(bus, [oracle(restart="on-failure", backoff=1000)], {}).run()
    child = only_child()
    child.kill()
    wait_until(lambda: not psutil.pid_exists(child.pid))
    bus.close()
    with pytest.raises(HandlerError, match="the bus of this worker is closed"):
        handles.join(SECONDS)
    assert psutil.Process().children() == []


# ---- stops that come at a bad moment


@pytest.mark.parametrize("drain", [False, True])
def test_stop_between_two_lives_makes_no_new_process(tmp_path, caplog, drain):
    config = {"notes": tmp_path / "notes"}
    bus = CircularBus(1 << 16)
    with Messenger(bus, [distant(restart="on-failure", backoff=1000)], config).run() as handles:
        wait_until(lambda: "started" in config["notes"].read_text())
        child = only_child()
        child.kill()
        wait_until(lambda: not psutil.pid_exists(child.pid))
        handles.stop(drain=drain, timeout=SECONDS)
        assert handles.error is None
    assert config["notes"].read_text().split() == ["made", "started"]
    assert "the process of worker 'distant' was ended by SIGKILL" in caplog.text
    assert "worker 'distant' is not started again: it is to stop" in caplog.text
    assert "started again, for the" not in caplog.text
    assert handles.statistics()["distant"]["restarts"] == 0
    assert bus.statistics().readers == ()


def test_child_that_is_terminated_while_it_becomes_the_worker_anew_drains(tmp_path):
    code = """
        import os, signal, sys, time
        from nanobus import CircularBus, Messenger, Record, Worker, message, u64
        from nanobus.processes import child
        from placed import OUTSIDE, Question, Reborn

        @message(id=1)
        class Gate(Record):
            number: u64

        notes = sys.argv[1]

        def make_slowly(*arguments):
            running = made(*arguments)
            if os.path.exists(notes):
                os.kill(os.getpid(), signal.SIGTERM)
                time.sleep(0.5)                             # for the thread that listens to hear of it
            return running

        made, child.RunningWorker = child.RunningWorker, make_slowly
        bus = CircularBus(1 << 16)
        worker = Worker(
            "reborn", [Reborn], {(OUTSIDE, Question): [Reborn]}, process="fork", restart="on-failure", backoff=0
        )
        with Messenger(bus, [worker], {"notes": notes}).run() as handles:
            gate, sender = bus.sender(OUTSIDE), bus.sender(OUTSIDE)
            with gate.claim(Gate):                          # all are there before the first one is seen
                for value in (1, -1, 2, 3):
                    sender.send(Question(value))
            handles.join(20)
    """
    run_program(code, tmp_path / "notes")
    noted = (tmp_path / "notes").read_text().split()
    assert noted == ["made", "started", "1", "made", "started", "-1", "2", "3", "stopped"]


def test_second_life_that_is_refused_is_no_death(tmp_path):
    config = OneLife(tmp_path / "read")
    worker = distant(Reborn, restart="on-failure", backoff=0)
    bus = CircularBus(1 << 16)
    with pytest.raises(RoutingError, match="its config cannot be had there: FileExistsError"):
        with Messenger(bus, [worker], config).run() as handles:
            bus.sender(OUTSIDE).send(Question(-1))
            handles.join(SECONDS)
    assert bus.statistics().readers == ()


def test_second_interrupt_kills_a_child_that_does_not_end():
    code = """
        import os, signal, threading, time
        from nanobus import CircularBus, Messenger, Worker
        from placed import OUTSIDE, Oracle, Question

        def interrupt(worker):
            os.killpg(0, signal.SIGINT)
            while worker._stop_at is None:                  # two signals at once are one
                time.sleep(0.01)
            os.killpg(0, signal.SIGINT)

        if __name__ == "__main__":
            os.setpgrp()
            bus = CircularBus(1 << 16)
            worker = Worker("oracle", [Oracle], {(OUTSIDE, Question): [Oracle]}, process=True, restart="on-failure")
            with Messenger(bus, [worker], {}).run() as handles:
                bus.sender(OUTSIDE).send(Question(-8))      # sleeps for an hour
                threading.Thread(target=interrupt, args=handles._workers).start()
                handles.join()
    """
    run_program(code, expected=-signal.SIGINT)


def test_process_that_does_not_end_after_its_last_word_is_killed(monkeypatch, caplog):
    for module in (lives, supervision):
        monkeypatch.setattr(module, "EXIT_SECONDS", 0.1)
    bus = CircularBus(1 << 16)
    config = {"seen": [], "enough": 1}
    with Messenger(bus, [oracle(), listener()], config).run() as handles:
        bus.sender(OUTSIDE).send(Question(-10))             # starts a thread that the interpreter waits for
        handles.join(SECONDS)
    assert len(config["seen"]) == 1
    assert "the process of worker 'oracle' did not end within 0 s of its last word" in caplog.text
    assert psutil.Process().children() == []


def test_long_row_of_restarts_has_a_longest_rest():
    rests = [supervision.seconds_of_rest(0.1, restarts) for restarts in (0, 1, 2, 20, 5000)]
    assert rests == [0.1, 0.2, 0.4, 60, 60]
    assert supervision.seconds_of_rest(0, 5000) == 0


# ---- forking


FORK = """
    import os, sys
    from nanobus import CircularBus, Messenger, Worker
    from placed import OUTSIDE, Listener, Oracle, Question, Reply

    print("once", end="")
    bus = CircularBus(1 << 16)
    workers = [
        Worker("oracle", [Oracle], {(OUTSIDE, Question): [Oracle]}, process="fork"),
        Worker("listener", [Listener], {(Oracle, Reply): [Listener]}),
    ]
    config = {"seen": [], "enough": 1}
    with Messenger(bus, workers, config).run() as handles:
        bus.sender(OUTSIDE).send(Question(1))
        handles.join(60)
    assert config["seen"][0][1] != os.getpid()
"""


def test_forked_child_prints_nothing_that_its_parent_had_printed():
    assert run_program(FORK) == ("once", "")


@pytest.mark.parametrize("action", ["error", "always"])
def test_fork_of_a_worker_is_no_warning(action):
    assert run_program(FORK, options=("-W", action)) == ("once", "")


def test_forked_children_do_not_keep_the_streams_of_each_other():
    code = """
        import time
        from nanobus import CircularBus, Messenger, Worker, WorkerDiedError
        from nanobus.processes import lives
        from placed import OUTSIDE, Oracle, Question, Ticking

        def open_slowly():
            pair = opened()
            time.sleep(0.2)                                 # for the other one to be forked meanwhile
            return pair

        opened, lives.open_pair = lives.open_pair, open_slowly
        lives.open_process = lambda process: None           # then only the stream tells of an end
        bus = CircularBus(1 << 16)
        workers = [
            Worker("oracle", [Oracle], {(OUTSIDE, Question): [Oracle]}, process="fork"),
            Worker("ticking", [Ticking], process="fork"),
        ]
        try:
            with Messenger(bus, workers, {}).run() as handles:
                bus.sender(OUTSIDE).send(Question(-2))
                handles.join(20)
        except WorkerDiedError as error:
            print(error.worker, error.signal)
    """
    assert run_program(code)[0] == "oracle SIGKILL\n"
