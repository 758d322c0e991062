"""`nanobus run` and `nanobus check`: what they import, what they say of it, and their exit codes."""

import signal
import sys
import textwrap
import warnings

import pytest

from nanobus.cli.main import main

PROGRAM = """
    import warnings
    from types import SimpleNamespace
    from nanobus import CircularBus, JournalBus, Messenger, RoutingError, Worker
    from services import OUTSIDE, Answer, AnswerKeeper, Doubler, Number, Keeper

    def table():
        return [
            Worker("doubling", [Doubler], {(OUTSIDE, Number): [Doubler]}),
            Worker("keeping", [AnswerKeeper], {(Doubler, Answer): [AnswerKeeper]}),
        ]

    def asked(*values):
        '''A messenger that hears these numbers, since a cursor begins with the oldest message.'''
        bus = JournalBus()
        for value in values:
            bus.sender(OUTSIDE).send(Number(value))
        routes = {(OUTSIDE, Number): [Keeper]}
        return Messenger(bus, [Worker("keeping", [Keeper], routes, cursor="keeping")], {"seen": seen})

    seen = []
    messenger = Messenger(CircularBus(1 << 16), table(), {"seen": seen})
    inner = SimpleNamespace(messenger=messenger, make=lambda: asked(1, -1), number=7)
"""


@pytest.fixture
def program(tmp_path, monkeypatch):
    """A function that writes a module into the current folder, and returns its name."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(sys, "path", list(sys.path))
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    known = set(sys.modules)

    def write(text, name="program"):
        (tmp_path / f"{name}.py").write_text(textwrap.dedent(PROGRAM) + textwrap.dedent(text))
        return name

    yield write
    for name in set(sys.modules) - known:
        if name.partition(".")[0] in ("here", "package", "program"):
            del sys.modules[name]


@pytest.fixture
def nanobus(capsys):
    """A function that runs the command; returns exit code, output, errors."""

    def run(*arguments):
        capsys.readouterr()
        try:
            code = main(arguments)
        except SystemExit as left:                          # argparse
            code = left.code
        return code, *capsys.readouterr()

    return run


@pytest.mark.parametrize("attribute", ["messenger", "inner.messenger", "inner.make", "asked"])
def test_check_finds_a_messenger_or_what_makes_one(program, nanobus, attribute):
    code, printed, errors = nanobus("check", f"{program('')}:{attribute}")
    assert (code, errors) == (0, "")
    assert printed in ("sound: 2 workers, 2 handlers, 2 routes\n", "sound: 1 worker, 1 handler, 1 route\n")


def test_check_finds_a_module_in_a_package(program, nanobus, tmp_path):
    (tmp_path / "package").mkdir()
    program("", "package/program")
    assert nanobus("check", "package.program:messenger")[0] == 0


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("place", "text"),
    [
        ("nowhere:messenger", "there is no module 'nowhere', neither in "),
        ("nowhere.at.all:messenger", "there is no module 'nowhere', neither in "),
        ("here.below:messenger", "there is no module 'here.below', neither in "),
        ("here:missing", "module 'here' has no 'missing'"),
        ("here:inner.missing.more", "module 'here' has no 'inner.missing'"),
        ("here:inner.number", "here:inner.number must be a Messenger or a callable that returns one, got 7"),
        ("here:table", "here:table must be a Messenger or a callable that returns one, got [Worker('doubling', "),
        ("here", "MODULE:MESSENGER must be like app:messenger, got 'here'"),
        ("here.py:messenger.", "MODULE:MESSENGER must be like app:messenger, got 'here.py:messenger.'"),
        (".here:messenger", "MODULE:MESSENGER must be like app:messenger, got '.here:messenger'"),
        ("", "MODULE:MESSENGER must be like app:messenger, got ''"),
    ],
)
def test_what_is_not_there_is_wrong_usage_and_told_in_one_line(program, nanobus, command, place, text):
    program("", "here")
    code, printed, errors = nanobus(command, place)
    assert (code, printed) == (2, "")
    assert errors.startswith(f"nanobus: {text}")
    assert errors.count("\n") == 1


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(
    ("text", "last"),
    [
        ("import not_installed", "ModuleNotFoundError: No module named 'not_installed'"),
        ("from services import not_there", "ImportError: cannot import name 'not_there' from 'services'"),
        ("messenger = 1 / 0", "ZeroDivisionError: division by zero"),
        ("def messenger(): raise OSError('no such device')", "OSError: no such device"),
        ("def messenger(argument): pass", "TypeError: messenger() missing 1 required positional argument"),
    ],
)
def test_error_of_the_program_keeps_its_traceback(program, nanobus, command, text, last):
    name = program(text)
    code, printed, errors = nanobus(command, f"{name}:messenger")
    assert (code, printed) == (1, "")
    assert errors.startswith("Traceback (most recent call last):\n")
    assert f"{name}.py" in errors or "def messenger(argument)" in text
    assert errors.splitlines()[-1].startswith(last)


def test_check_tells_every_warning_and_strict_takes_them_for_errors(program, nanobus):
    name = program("""
        warnings.warn("of another kind", DeprecationWarning)
        routes = {(AnswerKeeper, Number): [Doubler], (OUTSIDE, Number): []}
        doubtful = lambda: Messenger(CircularBus(4096), [Worker("one", [Doubler], routes), Worker("two", [Keeper])])
    """)
    with warnings.catch_warnings(record=True) as others:
        warnings.simplefilter("always")
        code, printed, errors = nanobus("check", f"{name}:doubtful")
        strict = nanobus("check", "--strict", f"{name}:doubtful")
    assert (code, errors) == (0, "")
    *lines, last = printed.splitlines()
    assert lines == [
        "warning: the route (AnswerKeeper, Number) of worker 'one' can never fire: AnswerKeeper is in no worker",
        "warning: the route (500, Number) of worker 'one' has no receivers",
        "warning: Keeper.number waits for Number, and no route brings it",
    ]
    assert last == "sound: 2 workers, 2 handlers, 2 routes"
    assert strict == (1, "".join(f"error: {line.removeprefix('warning: ')}\n" for line in lines), "")
    assert [str(one.message) for one in others] == ["of another kind"]


def test_check_tells_the_error_of_a_table_and_the_warnings_before_it(program, nanobus):
    name = program("""
        def wrong():
            routes = {(OUTSIDE, Number): [AnswerKeeper]}
            return Messenger(CircularBus(4096), [Worker("a", [Keeper]), Worker("b", [AnswerKeeper], routes)])
    """)
    code, printed, errors = nanobus("check", f"{name}:wrong")
    assert (code, errors) == (1, "")
    assert printed.splitlines() == [
        "warning: Keeper.number waits for Number, and no route brings it",
        "error: the route (500, Number) of worker 'b' names AnswerKeeper, which has no @on(Number) method",
    ]


def test_check_leaves_no_file(program, nanobus, tmp_path):
    nanobus("check", f"{program('')}:messenger")
    assert [one.name for one in tmp_path.iterdir()] == ["program.py"]


def test_check_runs_nothing_and_closes_the_bus_that_the_module_opened(program, nanobus, tmp_path):
    name = program("""
        messenger = Messenger(JournalBus("journal"), table(), {"seen": seen})
    """)
    assert nanobus("check", f"{name}:messenger")[0] == 0
    module = sys.modules[name]
    assert module.messenger.bus.closed
    assert not (tmp_path / "journal" / "schema.json").exists()
    assert list((tmp_path / "journal").glob("*.segment")) == []


def test_run_ends_with_the_program_and_closes_its_bus(program, nanobus):
    former = signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)
    name = program("kept = asked(1, 2, -1)")
    assert nanobus("run", f"{name}:kept") == (0, "", "")
    assert sys.modules[name].seen == [("Keeper", 1), ("Keeper", 2), ("Keeper", -1)]
    assert sys.modules[name].kept.bus.closed
    assert (signal.getsignal(signal.SIGINT), signal.getsignal(signal.SIGTERM)) == former


def test_run_of_some_workers_leaves_the_others_alone(program, nanobus):
    name = program("""
        from nanobus import Handler, every

        class Ender(Handler, id=77):
            @every(0.001)
            def end(self):
                seen.append("ended")
                self.stop()

        class Never(Handler, id=78):
            def __init__(self, config):
                seen.append("never")

        def both():
            return Messenger(CircularBus(4096), [Worker("ender", [Ender]), Worker("never", [Never])], only=["never"])
    """)
    assert nanobus("run", f"{name}:both", "--only", "ender") == (0, "", "")
    assert nanobus("run", "--only", "ender", f"{name}:both") == (0, "", "")
    assert set(sys.modules[name].seen) == {"ended"}


def test_run_of_a_worker_that_there_is_not_is_wrong_usage(program, nanobus):
    code, printed, errors = nanobus("run", "--only", "keeping", f"{program('')}:messenger", "--only", "counting")
    assert (code, printed) == (2, "")
    assert errors == "nanobus: only names 'counting', and the table has 'doubling', 'keeping'\n"


def test_error_of_a_handler_ends_the_run_with_its_traceback(program, nanobus):
    name = program("""
        from nanobus import Handler, every

        class Fails(Handler, id=77):
            @every(0.001)
            def fail(self):
                raise ValueError("of this kind")

        failing = Messenger(CircularBus(4096), [Worker("failing", [Fails])])
    """)
    code, printed, errors = nanobus("run", f"{name}:failing")
    assert (code, printed) == (1, "")
    assert errors.startswith("Traceback (most recent call last):\n")
    assert "ValueError: of this kind" in errors
    assert "nanobus.errors.HandlerError: Fails in worker 'failing' failed" in errors.splitlines()[-1]
    assert sys.modules[name].failing.bus.closed


def test_cursor_that_is_in_use_ends_the_run(program, nanobus):
    name = program("""
        kept = asked(1)
        reader = kept.bus.reader("keeping")
    """)
    code, _, errors = nanobus("run", f"{name}:kept")
    assert code == 1
    assert errors.endswith("nanobus.errors.CursorInUseError: the cursor 'keeping' has a reader already\n")
