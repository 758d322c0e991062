"""Programs that share a table and a bus, and know nothing of each other: started, stopped, killed in any order."""

import os
import re
import signal
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager

import pytest

from nanobus import CircularBus, JournalBus

msgspec = pytest.importorskip("msgspec")

SCRIPT = '''
import os, sys
from nanobus import CircularBus, Handler, JournalBus, Messenger, Worker, every, message, on
import msgspec

def say(*words):
    os.write(1, (" ".join(map(str, words)) + "\\n").encode())      # as one, from any thread

@message(id=1)
class Question(msgspec.Struct):
    number: int

@message(id=2)
class Reply(msgspec.Struct):
    number: {reply}

class Asker(Handler, id=1):
    """Asks on, whoever listens."""
    asked = 0

    @every(0.001)
    def ask(self):
        if self.asked < self.config["questions"]:
            self.asked += 1
            self.send(Question(self.asked))

    @on(Reply)
    def reply(self, reply):
        say("got", reply.number)
        if reply.number == self.config["questions"]:
            self.stop()

    def on_stop(self):
        say("stopped", self.asked)

class Oracle(Handler, id=2):
    @on(Question)
    def question(self, question):
        self.send(Reply({answer}))
        say("answered", question.number, "in", os.getpid())

if __name__ == "__main__":
    path, only = sys.argv[1:3]
    durable = path.endswith("journal")
    options = dict(cursor="oracle") if durable else dict()
    workers = [
        Worker("asking", [Asker], {{(Oracle, Reply): [Asker]}}),
        Worker("answering", [Oracle], {{(Asker, Question): [Oracle]}}, **options, {options}),
    ]
    with (JournalBus if durable else CircularBus)(path=path, **dict({bus})) as bus:
        with Messenger(bus, workers, dict(questions={questions}), only=[only]).run() as handles:
            say("workers", *handles.statistics())
            handles.join()
'''
DEFAULTS = {"reply": "int", "answer": "question.number", "options": "", "bus": "", "questions": "10**9"}
SECONDS = 60


def script(folder, **changes):
    path = folder / f"script{len(list(folder.glob('script*')))}.py"
    path.write_text(SCRIPT.format(**DEFAULTS | changes))
    return path


class Program:
    """One program: runs a worker of the script in a session of its own."""

    def __init__(self, script, bus, only):
        self.errors = tempfile.TemporaryFile("w+")  # noqa: SIM115  until `close`
        self.process = subprocess.Popen(
            [sys.executable, script, bus, only], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=self.errors,
            text=True, start_new_session=True,
        )
        self.lines = []

    def read_until(self, pattern):
        """Return the first line, from where it was read up to, that the pattern finds something in."""
        for line in self.process.stdout:
            self.lines.append(line)
            if re.search(pattern, line):
                return line
        raise AssertionError(f"it ended without {pattern!r}: {''.join(self.lines[-5:])}{self.complaints()}")

    def end(self, number=None, code=0):
        """Send it a signal, wait for its end, and return what it complained of."""
        if number is not None:
            self.process.send_signal(number)
        self.lines += self.process.stdout
        assert self.process.wait(SECONDS) == code, self.complaints()
        return self.complaints()

    def complaints(self):
        self.errors.seek(0)
        return self.errors.read()

    def close(self):
        self.process.kill()
        self.process.wait()
        self.process.stdout.close()
        self.errors.close()

    def numbers(self, word):
        return [int(line.split()[1]) for line in self.lines if line.startswith(f"{word} ") and line.endswith("\n")]


@contextmanager
def programs():
    """A function that starts a program; none of them outlives the test."""
    started = []

    def start(*arguments):
        started.append(Program(*arguments))
        return started[-1]

    try:
        yield start
    finally:
        for one in started:
            one.close()


def kill(program):
    program.end(signal.SIGKILL, -signal.SIGKILL)


def numbers_on(path, message_id):
    """The numbers of the messages of that id in a journal, in its order."""
    with JournalBus(path) as journal, journal.reader() as reader:
        found = []
        while (one := reader.read(0)) is not None:
            if one.message_id == message_id:
                found.append(one.payload)
    return [msgspec.msgpack.decode(payload)["number"] for payload in found]


def make_bus(folder, kind):
    return folder / kind, "" if kind == "journal" else "capacity=1 << 14"


@pytest.mark.parametrize("kind", ["ring", "journal"])
def test_each_program_runs_its_worker_and_hears_the_other_one(tmp_path, kind):
    bus, options = make_bus(tmp_path, kind)
    code = script(tmp_path, bus=options)
    with programs() as start:
        asker = start(code, bus, "asking")
        assert asker.read_until("workers") == "workers asking\n"
        oracle = start(code, bus, "answering")
        assert oracle.read_until("workers") == "workers answering\n"
        asker.read_until("got")
        kill(asker)
        kill(oracle)
    assert oracle.numbers("got") == []
    assert asker.numbers("answered") == []


def test_program_that_is_killed_misses_on_a_ring_what_is_sent_until_it_runs_again(tmp_path):
    bus, options = make_bus(tmp_path, "ring")
    code = script(tmp_path, bus=options)
    with programs() as start:
        oracle = start(code, bus, "answering")
        oracle.read_until("workers")
        asker = start(code, bus, "asking")
        asker.read_until("got 100$")
        kill(oracle)
        with CircularBus(path=bus) as look:
            head = look.head
            deadline = time.monotonic() + SECONDS
            while look.head < head + 4 * look.capacity:     # the asker goes on, many times around the ring
                assert time.monotonic() < deadline, "the dead reader holds the writer up"
                time.sleep(0.01)
        again = start(code, bus, "answering")
        again.read_until("answered")
        first = again.numbers("answered")[0]
        asker.read_until(f"got {first + 100}$")
        kill(again)
        asker.end(signal.SIGINT, -signal.SIGINT)
        lost = oracle.numbers("answered")[-1]
    got = asker.numbers("got")
    assert first > lost + 100
    assert got[:100] == list(range(1, 101))
    assert sorted(set(got)) == got
    assert [number for number in got if number >= first][:100] == list(range(first, first + 100))


def test_program_that_is_killed_goes_on_at_its_cursor_in_a_journal(tmp_path):
    bus, _ = make_bus(tmp_path, "journal")
    questions = 600
    code = script(tmp_path, questions=questions)
    with programs() as start:
        asker = start(code, bus, "asking")
        for goal in (100, 250, 400):
            oracle = start(code, bus, "answering")
            asker.read_until(f"got {goal}$")
            kill(oracle)
        oracle = start(code, bus, "answering")
        asker.end()                                         # it stops itself with the last reply
        oracle.end(signal.SIGINT, -signal.SIGINT)
    assert asker.numbers("got") == list(range(1, questions + 1))
    assert numbers_on(bus, 1) == numbers_on(bus, 2) == list(range(1, questions + 1))


def test_program_that_comes_late_hears_everything_with_a_cursor(tmp_path):
    bus, _ = make_bus(tmp_path, "journal")
    code = script(tmp_path, questions=50)
    with programs() as start:
        asker = start(code, bus, "asking")
        asker.read_until("workers")
        while len(numbers_on(bus, 1)) < 50:
            time.sleep(0.01)
        oracle = start(code, bus, "answering")
        asker.end()
        oracle.end(signal.SIGINT, -signal.SIGINT)
    assert asker.numbers("got") == oracle.numbers("answered") == list(range(1, 51))


def test_interrupted_program_drains_while_the_other_one_goes_on(tmp_path):
    bus, _ = make_bus(tmp_path, "journal")
    code = script(tmp_path)
    with programs() as start:
        oracle = start(code, bus, "answering")
        asker = start(code, bus, "asking")
        asker.read_until("got 50$")
        asker.end(signal.SIGINT, -signal.SIGINT)
        [asked] = asker.numbers("stopped")
        oracle.read_until(f"answered {asked} ")
        again = start(code, bus, "asking")                  # from 1 on
        again.read_until("got 20$")
        oracle.read_until("answered 20 ")
        kill(again)
        oracle.end(signal.SIGINT, -signal.SIGINT)
    answered = oracle.numbers("answered")
    assert answered[:asked] == list(range(1, asked + 1))
    assert answered[asked : asked + 20] == list(range(1, 21))


def test_second_program_with_the_same_cursor_is_refused_and_the_first_goes_on(tmp_path):
    bus, _ = make_bus(tmp_path, "journal")
    code = script(tmp_path)
    with programs() as start:
        first = start(code, bus, "answering")
        first.read_until("workers")
        errors = start(code, bus, "answering").end(code=1)
        assert errors.endswith("nanobus.errors.CursorInUseError: the cursor 'oracle' has a reader already\n")
        asker = start(code, bus, "asking")
        asker.read_until("got 10$")
        kill(first)
        start(code, bus, "answering").read_until("answered")    # the dead own nothing


@pytest.mark.parametrize("only", ["answering", "asking"])
def test_program_of_another_layout_is_refused_and_the_first_goes_on(tmp_path, only):
    bus, _ = make_bus(tmp_path, "journal")
    code, changed = script(tmp_path), script(tmp_path, reply="str", answer="str(question.number)")
    with programs() as start:
        oracle = start(code, bus, "answering")
        oracle.read_until("workers")
        errors = start(changed, bus, only).end(code=1)
        assert re.search("SchemaMismatchError: .*Reply(.|\n)*number: int -> str", errors)
        start(code, bus, "asking").read_until("got 10$")


@pytest.mark.parametrize("kind", ["ring", "journal"])
def test_worker_with_a_process_has_it_in_the_program_that_runs_it(tmp_path, kind):
    bus, options = make_bus(tmp_path, kind)
    code = script(tmp_path, bus=options, options='process=True, restart="on-failure", backoff=0.01')
    with programs() as start:
        asker = start(code, bus, "asking")
        oracle = start(code, bus, "answering")
        process = int(oracle.read_until("answered").split()[-1])
        assert process not in (oracle.process.pid, asker.process.pid)
        os.kill(process, signal.SIGKILL)
        oracle.read_until(f"answered .* in (?!{process}$)")
        asker.read_until("got")
        kill(oracle)
        asker.end(signal.SIGINT, -signal.SIGINT)
    answered = oracle.numbers("answered")
    assert len(answered) - len(set(answered)) <= 1          # printed, and not yet passed
