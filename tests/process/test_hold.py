"""How long the writers of a ring wait for a worker whose process has died, and what comes after that."""

import threading

import psutil

from nanobus import CircularBus, Messenger, Worker
from nanobus.processes.supervision import WorkerProcess
from placed import OUTSIDE, Distant, Held, Question
from programs import SECONDS, wait_until


def distant(handler=Distant, **options):
    routes = {(OUTSIDE, Question): [handler]}
    return Worker("distant", [handler], routes, process=True, restart="on-failure", **options)


def kill_child(config):
    wait_until(lambda: "started" in config["notes"].read_text())
    [child] = psutil.Process().children()
    child.kill()


def fill(bus):
    """Write many times what the ring holds, and never wait for room."""
    for _ in range(20):
        bus.write(1, 1, bytes(1000), timeout=0)


def test_writers_pass_a_dead_worker_whose_place_is_let_go(tmp_path, caplog):
    config = {"notes": tmp_path / "notes"}
    bus = CircularBus(4096)
    with Messenger(bus, [distant(hold=0.05, backoff=1000)], config).run() as handles:
        begin = bus.head
        kill_child(config)
        wait_until(lambda: bus.statistics().readers == ())
        fill(bus)
        handles.stop(timeout=SECONDS)
        assert handles.error is None
    assert handles.statistics()["distant"]["restarts"] == 0
    assert f"does not handle the messages at positions from {begin} to {bus.head}: its place was let go" in caplog.text


def test_life_after_a_place_was_let_go_begins_at_the_head(tmp_path, caplog, monkeypatch):
    begun, written = WorkerProcess._begin_at_head, threading.Event()

    def begin_late(self, left_at):
        assert written.wait(SECONDS)
        begun(self, left_at)

    monkeypatch.setattr(WorkerProcess, "_begin_at_head", begin_late)
    config = {"notes": tmp_path / "notes"}
    bus = CircularBus(4096)
    sender = bus.sender(OUTSIDE)
    with Messenger(bus, [distant(hold=0, backoff=0)], config).run() as handles:
        begin = bus.head
        kill_child(config)
        wait_until(lambda: bus.statistics().readers == ())
        sender.send(Question(1))
        fill(bus)
        end = bus.head
        written.set()
        wait_until(lambda: config["notes"].read_text().count("started") == 2)
        sender.send(Question(2))
    assert config["notes"].read_text().split()[-3:] == ["started", "2", "stopped"]
    assert handles.statistics()["distant"]["restarts"] == 1
    assert f"does not handle the messages at positions from {begin} to {end}: its place was let go" in caplog.text
    assert bus.statistics().readers == ()


def test_life_that_is_not_built_while_writers_wait_for_it_is_killed(tmp_path, caplog):
    config = {"notes": tmp_path / "notes", "stuck": tmp_path / "stuck"}
    bus = CircularBus(4096)
    with Messenger(bus, [distant(Held, hold=0.5, backoff=0)], config).run() as handles:
        config["stuck"].touch()
        kill_child(config)
        wait_until(lambda: "was not built in time, and was killed" in caplog.text)
        config["stuck"].unlink()
        wait_until(lambda: config["notes"].read_text().count("started") == 2)
        bus.sender(OUTSIDE).send(Question(3))
    assert config["notes"].read_text().split()[-2:] == ["3", "stopped"]
    assert handles.statistics()["distant"]["restarts"] == 2


def test_stop_does_not_wait_for_a_life_that_is_stuck(tmp_path, caplog):
    config = {"notes": tmp_path / "notes", "stuck": tmp_path / "stuck"}
    bus = CircularBus(4096)
    with Messenger(bus, [distant(Held, hold=3, backoff=0)], config).run() as handles:
        bus.sender(OUTSIDE).send(Question(1))
        wait_until(lambda: "\n1\n" in config["notes"].read_text())
        config["stuck"].touch()
        kill_child(config)
        wait_until(lambda: handles.statistics()["distant"]["restarts"] >= 1)
        bus.sender(OUTSIDE).send(Question(2))
        handles.stop(timeout=SECONDS)
        assert handles.error is None
    assert psutil.Process().children() == []
    assert "is not started again: it is to stop" in caplog.text
    assert "does not handle the messages at positions" in caplog.text
