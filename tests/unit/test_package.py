"""The names of the package: they come when they are asked for."""

import pickle
import subprocess
import sys

import pytest

import nanobus


def modules_after(statement: str) -> set[str]:
    program = f"import sys; {statement}; print(*sys.modules)"
    command = [sys.executable, "-c", program]
    return set(subprocess.run(command, check=True, capture_output=True, text=True).stdout.split())


def test_the_package_alone_imports_nothing_of_itself():
    assert {one for one in modules_after("import nanobus") if one.startswith("nanobus")} == {"nanobus"}


def test_a_bus_does_not_import_what_runs_messengers():
    found = modules_after("import nanobus; nanobus.CircularBus")
    assert "nanobus.bus.circular" in found
    assert not {"nanobus.messenger", "nanobus.routing", "nanobus.schema", "nanobus.journal.journal"} & found


def test_a_journal_alone_imports_nothing_that_runs_messengers():
    found = modules_after("import nanobus; nanobus.JournalBus")
    assert not {"nanobus.messenger", "nanobus.journaling", "nanobus.routing", "nanobus.schema"} & found


@pytest.mark.parametrize(
    "statement",
    [
        "from nanobus import JournalBus",
        "from nanobus.journal.journal import JournalBus",
        "import pickle; JournalBus = pickle.loads(PICKLED)",
    ],
)
def test_a_journal_writes_down_its_schema_wherever_it_came_from(tmp_path, statement):
    program = f"PICKLED = {pickle.dumps(nanobus.JournalBus)!r}\n{statement}" + """
import sys
from nanobus import Record, f64, message
@message(id=1)
class Sample(Record):
    value: f64
with JournalBus(sys.argv[1]) as bus, bus.sender(1) as sender:
    sender.send(Sample(value=1.0))
"""
    subprocess.run([sys.executable, "-c", program, str(tmp_path / "journal")], check=True)
    assert '"Sample"' in (tmp_path / "journal" / "schema.json").read_text()


def test_names_are_asked_for_by_many_threads_at_once():
    # one that finds a package half-way imported would fail, or wait for one that waits for it
    program = """
import random, sys, threading
import nanobus
names, failed, start = list(nanobus.__all__) + ["errors", "schema", "records"], [], threading.Barrier(8)
sys.setswitchinterval(1e-5)
def ask(seed):
    mine = random.Random(seed).sample(names, len(names))
    start.wait()
    for name in mine:
        try:
            getattr(nanobus, name)
        except BaseException as error:
            failed.append((name, error))
    try:
        nanobus.JournalBus().close()
    except BaseException as error:
        failed.append(("a journal", error))
threads = [threading.Thread(target=ask, args=(8 * int(sys.argv[1]) + one,)) for one in range(8)]
for one in threads: one.start()
for one in threads: one.join()
assert not failed, failed
"""
    for seed in range(5):
        subprocess.run([sys.executable, "-c", program, str(seed)], check=True, timeout=60)


@pytest.mark.parametrize(
    "path", ["errors.BusFullError", "bus.circular.CircularBus", "schema.upcasts.upcast", "journaling"]
)
def test_modules_are_found_without_importing_them(path):
    subprocess.run([sys.executable, "-c", f"import nanobus; nanobus.{path}"], check=True)


def test_every_name_is_there_and_is_the_one_of_its_module():
    space: dict[str, object] = {}
    exec("from nanobus import *", space)
    assert set(nanobus.__all__) <= set(space)
    assert set(nanobus.__all__) <= set(dir(nanobus))
    for name in nanobus.__all__:
        assert space[name] is getattr(nanobus, name)
        assert name in vars(nanobus), "found once, it is an attribute like any other"


def test_a_name_that_is_not_there():
    with pytest.raises(AttributeError, match="module 'nanobus' has no attribute 'Messengers'"):
        nanobus.Messengers  # type: ignore[attr-defined]  # noqa: B018
    with pytest.raises(ImportError, match="cannot import name 'Messengers'"):
        exec("from nanobus import Messengers")
