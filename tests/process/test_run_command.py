"""`nanobus run` and signals: what drains, what does not wait, and what a shell sees of it."""

import os
import signal
import subprocess
import sys
import textwrap
import time
from pathlib import Path

import psutil
import pytest

TESTS = Path(__file__).resolve().parents[1]
SECONDS = 60
COUNT = 30
MANY = 500                                                  # more than anybody waits for

PROGRAM = """
    import os, sys, time
    from nanobus import CircularBus, Handler, Messenger, Worker, on
    from placed import Distant, Question

    class Feeder(Handler, id=77):
        def on_start(self):
            for value in range(self.config["count"]):
                self.send(Question(value))

    class Hanging(Handler, id=78):
        @on(Question)
        def question(self, question):
            print("ready", flush=True)
            time.sleep(3600)

    class Failing(Handler, id=79):
        @on(Question)
        def question(self, question):
            if question.value == 0:
                print("ready", flush=True)
            time.sleep(0.02)
            if question.value == {count} - 1:
                raise ValueError("at the last one")

    def messenger(process=False, seconds=0.02, handler=Distant, count={count}):
        workers = [
            Worker("feeder", [Feeder]),
            Worker("distant", [handler], {{(Feeder, Question): [handler]}}, process=process, idle=0.1),
        ]
        return Messenger(CircularBus(1 << 16), workers, dict(notes="notes", seconds=seconds, count=count))

    def placed():
        return messenger(process=True)

    def forked():
        return messenger(process="fork")

    def failing():
        routes = {{(Feeder, Question): [Failing]}}               # one worker: all is fed before anything is handled
        return Messenger(CircularBus(1 << 16), [Worker("both", [Feeder, Failing], routes)], dict(count={count}))

    def slow():
        return messenger(seconds=0.2)

    def endless_work():
        return messenger(seconds=0.1, count={many})

    def endless_work_elsewhere():
        return messenger(process=True, seconds=0.1, count={many})

    def hanging():
        return messenger(handler=Hanging)

    def hanging_elsewhere():
        return messenger(process=True, handler=Hanging)

    def endless():
        print("ready", flush=True)
        time.sleep(3600)
"""


@pytest.fixture
def folder(tmp_path):
    (tmp_path / "app.py").write_text(textwrap.dedent(PROGRAM).format(count=COUNT, many=MANY))
    return tmp_path


def start(folder, attribute, *arguments, command=(sys.executable, "-m", "nanobus")):
    """Start `nanobus run` in a session of its own."""
    return subprocess.Popen(
        [*command, "run", f"app:{attribute}", *arguments], cwd=folder, start_new_session=True, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, env={**os.environ, "PYTHONPATH": str(TESTS)},
    )


def notes(folder):
    path = folder / "notes"
    return path.read_text().split() if path.exists() else []


def wait_for(folder, note):
    deadline = time.monotonic() + SECONDS
    while note not in notes(folder):
        assert time.monotonic() < deadline, f"no {note!r} in {notes(folder)}"
        time.sleep(0.005)


def end(process):
    """Return exit code and errors of a program that ends."""
    try:
        _, errors = process.communicate(timeout=SECONDS)
    finally:
        for one in psutil.Process(process.pid).children(recursive=True) if process.returncode is None else []:
            one.kill()
        process.kill()
    return process.returncode, errors


@pytest.mark.parametrize("attribute", ["messenger", "placed", "forked"])
@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_first_signal_drains_and_the_program_ends_by_it(folder, attribute, number):
    process = start(folder, attribute)
    wait_for(folder, "3")
    process.send_signal(number)
    assert end(process) == (-number, "")
    assert notes(folder) == ["made", "started", *map(str, range(COUNT)), "stopped"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_signal_to_every_process_at_once_is_one_stop(folder, number):
    process = start(folder, "placed")
    wait_for(folder, "3")
    os.killpg(process.pid, number)                          # as a terminal does, or a service manager
    assert end(process) == (-number, "")
    assert notes(folder) == ["made", "started", *map(str, range(COUNT)), "stopped"]


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
def test_shell_sees_the_number_of_the_signal(folder, number, code):
    command = f"{sys.executable} -m nanobus run app:messenger; echo code $?"
    shell = subprocess.Popen(
        ["bash", "-c", command], cwd=folder, start_new_session=True, text=True, stdout=subprocess.PIPE,
        env={**os.environ, "PYTHONPATH": str(TESTS)},
    )
    wait_for(folder, "3")
    [program] = psutil.Process(shell.pid).children()
    program.send_signal(number)
    printed, _ = shell.communicate(timeout=SECONDS)
    assert printed.endswith(f"code {code}\n")
    assert notes(folder)[-1] == "stopped"


@pytest.mark.parametrize("attribute", ["endless_work", "endless_work_elsewhere"])
def test_second_signal_does_not_wait_for_what_is_on_the_bus(folder, attribute):
    process = start(folder, attribute)
    wait_for(folder, "0")
    process.send_signal(signal.SIGTERM)
    time.sleep(0.05)                                        # of two at once SIGINT may be seen first
    process.send_signal(signal.SIGINT)
    code, errors = end(process)
    assert code in (-signal.SIGTERM, -signal.SIGINT)
    assert errors == ""
    assert str(MANY - 1) not in notes(folder)
    assert notes(folder)[-1] == "stopped"


def test_second_signal_kills_a_process_whose_handler_does_not_come_back(folder):
    process = start(folder, "hanging_elsewhere")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    time.sleep(0.2)                                         # of two at once SIGINT may be seen first
    process.send_signal(signal.SIGINT)
    code, errors = end(process)
    assert code in (-signal.SIGTERM, -signal.SIGINT)
    assert "WorkerDiedError: the process of worker 'distant' was ended by SIGKILL" in errors


def test_third_signal_ends_a_program_whose_handler_does_not_come_back(folder):
    process = start(folder, "hanging")
    assert process.stdout.readline() == "ready\n"
    sent, deadline = 0, time.monotonic() + SECONDS
    while process.poll() is None and time.monotonic() < deadline:
        process.send_signal(signal.SIGTERM)                 # those that come too soon after each other are one
        sent += 1
        time.sleep(0.3)
    assert sent >= 3
    assert end(process) == (-signal.SIGTERM, "")


def test_signal_while_the_program_is_made_ends_it_at_once(folder):
    process = start(folder, "endless")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    assert end(process) == (-signal.SIGTERM, "")


def test_error_while_it_drains_is_a_failure(folder):
    process = start(folder, "failing")
    assert process.stdout.readline() == "ready\n"
    process.send_signal(signal.SIGTERM)
    code, errors = end(process)
    assert code == 1
    assert "ValueError: at the last one" in errors


def test_interrupt_that_a_shell_has_its_background_jobs_ignore_is_ignored(folder):
    ignoring = (
        "import os, signal, sys; signal.signal(signal.SIGINT, signal.SIG_IGN); "
        "os.execv(sys.executable, [sys.executable, '-m', 'nanobus', *sys.argv[1:]])"
    )
    process = start(folder, "slow", command=(sys.executable, "-c", ignoring))
    wait_for(folder, "0")
    process.send_signal(signal.SIGINT)
    wait_for(folder, "5")
    process.send_signal(signal.SIGTERM)
    assert end(process) == (-signal.SIGTERM, "")


def test_console_script_runs_workers_in_processes(folder):
    script = Path(sys.executable).with_name("nanobus")
    process = start(folder, "placed", command=(script,))
    wait_for(folder, "3")
    process.send_signal(signal.SIGTERM)
    assert end(process) == (-signal.SIGTERM, "")
    assert notes(folder)[-1] == "stopped"
