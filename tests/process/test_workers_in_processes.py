"""Workers in processes of their own: placement, errors, logging, statistics, stopping."""

import logging
import os
import pickle
import re
import signal
import subprocess
import sys
import textwrap
import time

import psutil
import pytest

from nanobus import (
    BusFormatError,
    CircularBus,
    CursorInUseError,
    DivergenceError,
    Handler,
    HandlerError,
    JournalBus,
    Messenger,
    RoutingError,
    StopTimeoutError,
    Worker,
    WorkerDiedError,
)
from placed import (
    OUTSIDE,
    Distant,
    Listener,
    Oracle,
    Pinger,
    Question,
    Quitter,
    Reply,
    Stubborn,
    Ticking,
    count_reading,
)
from programs import TESTS, run_program


def oracle(process=True, asked_by=OUTSIDE, **options):
    return Worker("oracle", [Oracle], {(asked_by, Question): [Oracle]}, process=process, **options)


def listener(**options):
    return Worker("listener", [Listener], {(Oracle, Reply): [Listener]}, **options)


def distant(**options):
    return Worker("distant", [Distant], {(OUTSIDE, Question): [Distant]}, process=True, **options)


def open_bus(kind, folder):
    if kind == "ring":
        return CircularBus(1 << 16)
    return CircularBus(1 << 16, folder / "ring") if kind == "ring with a path" else JournalBus(folder / "journal")


def ask(values, workers, bus=None):
    """Run the workers, ask the oracle, and return what was answered once every question is."""
    bus = bus or CircularBus(1 << 16)
    config = {"seen": [], "enough": len(values)}
    with Messenger(bus, workers, config).run() as handles:
        sender = bus.sender(OUTSIDE)
        for value in values:
            sender.send(Question(value))
        handles.join(60)
    return config["seen"]


@pytest.mark.parametrize("kind", ["ring", "ring with a path", "journal"])
def test_handlers_in_another_process_answer_those_in_a_thread(tmp_path, kind):
    with open_bus(kind, tmp_path) as bus:
        seen = ask(range(10), [oracle(), listener()], bus)
    assert [value for value, _ in seen] == list(range(10))
    [process] = {process for _, process in seen}
    assert process != os.getpid()
    assert not psutil.pid_exists(process)


@pytest.mark.parametrize("kind", ["ring", "journal"])
def test_threads_and_processes_play_ping_pong(tmp_path, kind):
    pinger = Worker("pinger", [Pinger], {(Oracle, Reply): [Pinger]}, process="spawn")
    with open_bus(kind, tmp_path) as bus:
        config = {"seen": []}
        with Messenger(bus, [oracle(asked_by=Pinger), pinger, listener()], config).run() as handles:
            handles.join(60)
            assert handles.finished
    assert [value for value, _ in config["seen"]] == list(range(201))


def test_messenger_with_processes_runs_again():
    bus = CircularBus(1 << 16)
    messenger = Messenger(bus, [oracle(), listener()], {"seen": [], "enough": 1})
    for expected in (1, 1):
        messenger.config["seen"].clear()
        with messenger.run() as handles:
            bus.sender(OUTSIDE).send(Question(3))
            handles.join(60)
        assert len(messenger.config["seen"]) == expected
    assert bus.statistics().readers == ()
    assert len(bus.statistics().writers) == 1               # the bus's own


def test_forked_worker_needs_nothing_that_travels():
    code = """
        import os
        from nanobus import CircularBus, Handler, Messenger, Worker, on
        from placed import OUTSIDE, Listener, Question, Reply

        def main():
            class Local(Handler, id=900):
                @on(Question)
                def question(self, question):
                    self.send(Reply(self.config["double"](question.value), os.getpid()))

            config = {"seen": [], "enough": 3, "double": lambda value: 2 * value}
            bus = CircularBus(1 << 16)
            workers = [
                Worker("local", [Local], {(OUTSIDE, Question): [Local]}, process="fork"),
                Worker("listener", [Listener], {(Local, Reply): [Listener]}),
            ]
            with Messenger(bus, workers, config).run() as handles:
                for value in (1, 2, 3):
                    bus.sender(OUTSIDE).send(Question(value))
                handles.join(60)
            print([value for value, process in config["seen"] if process != os.getpid()])

        main()
    """
    assert run_program(code)[0] == "[2, 4, 6]\n"


def test_error_in_a_child_is_raised_with_its_traceback():
    bus = CircularBus(1 << 16)
    messenger = Messenger(bus, [oracle(), listener()], {"seen": []})
    with pytest.raises(HandlerError, match=r"Oracle in worker 'oracle' failed on Question at position \d+") as caught:
        with messenger.run() as handles:
            sender = bus.sender(OUTSIDE)
            for value in (1, -1, 2):
                sender.send(Question(value))
            handles.join(60)
    error = caught.value
    assert (error.worker, error.handler, error.message) == ("oracle", Oracle, Question(-1))
    assert bus.read(error.position).decode(Question) == Question(-1)
    assert isinstance(error.__cause__, ValueError)
    assert "in question\n    raise ValueError(\"no answer to this\")" in str(error.__cause__.__cause__)
    assert handles.finished


def test_error_that_does_not_travel_is_told_as_text():
    with pytest.raises(HandlerError, match="UnpicklableError: ") as caught:
        ask([-4], [oracle(), listener()])
    assert "raise UnpicklableError(lambda: None)" in str(caught.value.__cause__)


def test_error_of_a_handler_that_is_made_in_a_child_is_raised_from_run():
    stubborn = Worker("stubborn", [Stubborn], process=True)
    messenger = Messenger(bus := CircularBus(4096), [stubborn, listener(on_error="skip")][:1], None)
    with pytest.raises(HandlerError, match="Stubborn in worker 'stubborn' failed: OSError: will not be made"):
        messenger.run()
    assert bus.statistics().readers == ()


def test_skipped_errors_of_a_child_are_logged_by_the_parent(caplog):
    seen = ask([-1, 5], [oracle(on_error="skip"), Worker("listener", [Quitter], {(Oracle, Reply): [Quitter]})])
    assert seen == []
    [record] = [record for record in caplog.records if "no answer to this" in record.getMessage()]
    assert (record.name, record.levelno) == ("nanobus", logging.ERROR)
    assert record.process != os.getpid()
    assert "Traceback" in record.getMessage()


class Local:
    def __getstate__(self):
        raise TypeError("it has a lock")


@pytest.mark.parametrize(
    ("worker", "config", "culprit"),
    [
        (oracle(), {"where": Local()}, "its config does not travel: TypeError: it has a lock"),
        (oracle(on_error=lambda error: True), None, "its on_error does not travel: "),
    ],
)
def test_what_does_not_travel_is_named_before_anything_starts(worker, config, culprit):
    bus = CircularBus(4096)
    messenger = Messenger(bus, [Worker("first", [Fails]), worker], config)
    with pytest.raises(RoutingError, match=f"worker 'oracle' cannot have a process of its own, {culprit}"):
        messenger.run()
    assert bus.statistics().readers == ()


class Fails(Handler, id=903):
    """Would fail the test, were it made."""

    def __init__(self, config):
        raise AssertionError("something was started")


class Counting:
    """Counts how often it is pickled here, and read in the process that is told its path."""

    def __init__(self, path):
        self.path = path
        self.pickled = 0

    def __reduce__(self):
        self.pickled += 1
        return count_reading, (self.path,)


def test_config_travels_once(tmp_path):
    config = Counting(tmp_path / "read")
    Messenger(CircularBus(4096), [Worker("counting", [Ticking], process=True)], config).run().stop(timeout=60)
    assert config.pickled == 1
    assert (tmp_path / "read").read_text() == "once\n"


def test_handler_that_does_not_travel_is_named():
    class Inner(Handler, id=901):
        pass

    with pytest.raises(RoutingError, match="its handler .*Inner does not travel: "):
        Messenger(CircularBus(4096), [Worker("inner", [Inner], process=True)]).run()


def test_handler_that_the_child_cannot_import_is_named():
    code = """
        from nanobus import CircularBus, Handler, Messenger, RoutingError, Worker

        class Nowhere(Handler, id=902):
            pass

        bus = CircularBus(4096)
        try:
            Messenger(bus, [Worker("lost", [Nowhere], process=True)]).run()
        except RoutingError as error:
            print(error)
        print(bus.statistics().readers)
    """
    told, left = run_program(code)[0].splitlines()
    assert told.startswith("worker 'lost' cannot have a process of its own, its handler Nowhere cannot be had there: ")
    assert left == "()"


def test_journal_in_memory_cannot_be_had_in_another_process():
    with pytest.raises(RoutingError, match="worker 'oracle' cannot have a process of its own: a JournalBus in memory"):
        Messenger(JournalBus(), [oracle()])


def test_bus_of_a_users_own_class_cannot_be_had_in_another_process():
    class Own(CircularBus):
        pass

    with pytest.raises(RoutingError, match="worker 'oracle' cannot have a process of its own: .*Own cannot be had"):
        Messenger(Own(4096), [oracle()])


def test_journal_of_the_child_is_the_one_of_the_parent(tmp_path):
    with JournalBus(tmp_path / "journal", sync="interval", sync_interval=0.5) as journal:
        function, arguments, descriptors = journal.carriage()
        assert descriptors == ()
        with function(*arguments) as other:
            assert (other.sync_policy, other.head) == ("interval", journal.head)
    (tmp_path / "journal").rename(tmp_path / "elsewhere")
    with pytest.raises(BusFormatError, match="is not the journal any more that it was"):
        function(*arguments)
    assert not (tmp_path / "journal").exists()
    JournalBus(tmp_path / "journal").close()
    with pytest.raises(BusFormatError, match="is not the journal any more that it was"):
        function(*arguments)


def test_cursor_that_is_taken_is_told_by_run(tmp_path):
    with JournalBus(tmp_path) as journal:
        reader = journal.reader("mine")
        with pytest.raises(CursorInUseError, match="the cursor 'mine' has a reader already"):
            Messenger(journal, [oracle(cursor="mine")]).run()
        reader.close()


def test_records_of_a_child_are_handled_by_the_loggers_of_the_parent(caplog):
    caplog.set_level(logging.WARNING)
    caplog.set_level(logging.DEBUG, "oracle.loud")
    ask([-5], [oracle(), listener()])
    records = {record.getMessage(): record for record in caplog.records if record.name.startswith("oracle")}
    assert list(records) == ["asked -5 by somebody", "loud enough"]
    assert records["asked -5 by somebody"].funcName == "question"


def test_entries_of_the_path_that_are_no_str_stay_in_the_parent(monkeypatch, tmp_path):
    monkeypatch.setattr(sys, "path", [tmp_path, *sys.path])
    assert [value for value, _ in ask([5], [oracle(), listener()])] == [5]


def test_statistics_have_the_counters_of_the_child():
    bus = CircularBus(1 << 16)
    config = {"seen": []}
    with Messenger(bus, [oracle(), listener()], config).run() as handles:
        sender = bus.sender(OUTSIDE)
        for value in range(5):
            sender.send(Question(value))
        deadline = time.monotonic() + 60
        expected = {"handled": 5, "skipped": 5, "failures": 0, "held": 0, "restarts": 0}    # it skips the answers
        while handles.statistics()["oracle"] != expected and time.monotonic() < deadline:
            time.sleep(0.01)
        assert handles.statistics()["oracle"] == expected
    assert handles.statistics()["oracle"]["handled"] == 5


def lines(path):
    return path.read_text().split()


def test_leaving_the_block_drains_and_says_goodbye(tmp_path):
    config = {"notes": tmp_path / "notes", "seconds": 0.01}
    bus = CircularBus(1 << 16)
    with Messenger(bus, [distant()], config).run():
        for value in range(10):
            bus.sender(OUTSIDE).send(Question(value))
    assert lines(config["notes"]) == ["made", "started", *map(str, range(10)), "stopped"]


def test_stop_without_draining_ends_with_the_message_at_hand(tmp_path):
    config = {"notes": tmp_path / "notes", "seconds": 0.05}
    bus = CircularBus(1 << 16)
    handles = Messenger(bus, [distant()], config).run()
    for value in range(100):
        bus.sender(OUTSIDE).send(Question(value))
    handles.stop(drain=False, timeout=60)
    assert len(lines(config["notes"])) < 103
    assert lines(config["notes"])[-1] == "stopped"


def test_stop_that_takes_too_long_names_the_worker():
    bus = CircularBus(1 << 16)
    handles = Messenger(bus, [oracle()], None).run()
    bus.sender(OUTSIDE).send(Question(-8))                  # sleeps for an hour
    with pytest.raises(StopTimeoutError, match="still running after 0.2 s: 'oracle'"):
        handles.stop(timeout=0.2)
    assert not handles.wait(0)
    [child] = psutil.Process().children()
    child.kill()
    with pytest.raises(WorkerDiedError):
        handles.join(60)


def test_timers_of_a_child_tick():
    workers = [
        Worker("ticking", [Ticking], process=True), Worker("listener", [Listener], {(Ticking, Reply): [Listener]})
    ]
    config = {"seen": [], "enough": 5}
    with Messenger(CircularBus(1 << 16), workers, config).run() as handles:
        handles.join(60)
    assert len(config["seen"]) >= 5


def test_terminated_child_stops_everything_in_order(tmp_path):
    seen = ask([1, -6, 2], [oracle(), Worker("listener", [Quitter], {(Oracle, Reply): [Quitter]}, on_error="stop")])
    assert seen == []


def test_child_that_is_terminated_twice_does_not_drain(tmp_path):
    config = {"notes": tmp_path / "notes", "seconds": 0.05}
    bus = CircularBus(1 << 16)
    with Messenger(bus, [distant()], config).run() as handles:
        for value in range(200):
            bus.sender(OUTSIDE).send(Question(value))
        [child] = psutil.Process().children()
        child.terminate()
        while handles.finished is False and not any(one._stop_at for one in handles._workers):
            time.sleep(0.005)                               # two signals at once are one
        child.terminate()
        handles.join(60)
    assert len(lines(config["notes"])) < 203
    assert lines(config["notes"])[-1] == "stopped"


def test_interrupt_of_a_child_is_for_the_parent_to_see():
    seen = ask([-7, 2], [oracle(), listener()])
    assert [value for value, _ in seen] == [-7, 2]


def test_program_that_is_interrupted_stops_its_children(tmp_path):
    code = """
        import os, signal, sys
        from nanobus import CircularBus, Messenger, Worker
        from placed import OUTSIDE, Distant, Question

        if __name__ == "__main__":
            os.setpgrp()
            bus = CircularBus(1 << 16)
            worker = Worker("distant", [Distant], {(OUTSIDE, Question): [Distant]}, process=True)
            with Messenger(bus, [worker], {"notes": sys.argv[1], "seconds": 0.01}).run() as handles:
                for value in range(5):
                    bus.sender(OUTSIDE).send(Question(value))
                os.killpg(0, signal.SIGINT)
                handles.join()
    """
    notes = tmp_path / "notes"
    _, errors = run_program(code, notes, expected=-signal.SIGINT)
    assert errors.endswith("KeyboardInterrupt\n")
    assert errors.count("Traceback") == 1
    assert lines(notes) == ["made", "started", *map(str, range(5)), "stopped"]


def test_program_that_is_interrupted_twice_does_not_wait_for_its_children_to_drain(tmp_path):
    code = """
        import os, signal, sys, threading, time
        from nanobus import CircularBus, Messenger, Worker
        from placed import OUTSIDE, Distant, Question

        def interrupt(worker):
            time.sleep(0.5)
            os.killpg(0, signal.SIGINT)
            while worker._stop_at is None:                  # two signals at once are one
                time.sleep(0.01)
            os.killpg(0, signal.SIGINT)

        if __name__ == "__main__":
            os.setpgrp()
            bus = CircularBus(1 << 16)
            worker = Worker("distant", [Distant], {(OUTSIDE, Question): [Distant]}, process=True)
            with Messenger(bus, [worker], {"notes": sys.argv[1], "seconds": 0.05}).run() as handles:
                for value in range(1000):
                    bus.sender(OUTSIDE).send(Question(value))
                threading.Thread(target=interrupt, args=handles._workers).start()
                handles.join()
    """
    notes = tmp_path / "notes"
    run_program(code, notes, expected=-signal.SIGINT)
    assert len(lines(notes)) < 1003


def test_main_module_that_runs_a_messenger_when_it_is_imported_is_told_so(tmp_path):
    script = tmp_path / "script.py"
    script.write_text(textwrap.dedent("""
        from nanobus import CircularBus, Messenger, NanobusError, Worker
        from placed import Ticking
        try:
            Messenger(CircularBus(4096), [Worker("a", [Ticking], process=True)]).run()
        except NanobusError as error:
            print(error)
            raise SystemExit(5)
    """))
    run = subprocess.run(
        [sys.executable, script], capture_output=True, text=True, timeout=60,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    assert 'it must do so only where `if __name__ == "__main__":` holds' in run.stdout


@pytest.mark.parametrize(
    "error",
    [
        HandlerError("it failed", worker="a", handler=Oracle, message=Question(1), position=64),
        DivergenceError("it differs", position=64, handler=Oracle, expected=Reply(1), actual=None),
        WorkerDiedError("it died", worker="a", exit_code=None, signal="SIGKILL", position=64),
    ],
)
def test_errors_with_attributes_pickle(error):
    error.add_note("and so on")
    copy = pickle.loads(pickle.dumps(error))
    assert (type(copy), str(copy), vars(copy)) == (type(error), str(error), vars(error))


@pytest.mark.parametrize(
    ("options", "rule"),
    [
        ({"process": "thread"}, 'process must be False, True, "spawn" or "fork", got \'thread\''),
        ({"process": True, "restart": "always"}, 'restart must be "never" or "on-failure", got \'always\''),
        ({"restart": "on-failure"}, "restart='on-failure' is for a worker in a process of its own, and 'a' has none"),
        ({"max_restarts": -1}, "max_restarts must be an int >= 0, got -1"),
        ({"backoff": -0.1}, "backoff must be >= 0 seconds, got -0.1"),
        ({"hold": -1}, "hold must be >= 0 seconds, got -1"),
    ],
)
def test_options_of_placement_are_checked(options, rule):
    with pytest.raises(ValueError, match=re.escape(rule)):
        Worker("a", [Oracle], **options)
