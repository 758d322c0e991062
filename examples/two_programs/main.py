"""Two programs: a counter and a kitchen meet at a journal, share a table, and know nothing of each other.

    program "counter"                      program "kitchen"

      Counter ---- Order, Closing ----------> Kitchen
              <---------- Meal --------------

In two terminals, in this folder:

    nanobus run table:messenger --only counter
    nanobus run table:messenger --only kitchen

Kill the kitchen (`pkill -9 -f kitchen`) and start it again: it goes on with the order that it had not cooked. This
program does all that by itself, in a folder of its own:

    python examples/two_programs/main.py
"""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

from nanobus import Envelope, JournalBus

from messages import Meal, Order
from table import EVENING, JOURNAL

HERE = Path(__file__).resolve().parent
TIMEOUT = 60


def main(kills: int = 2) -> list[int]:
    """Let an evening pass on which the kitchen is killed so often; return the numbers of the meals."""
    with TemporaryDirectory() as folder:
        with program("counter", folder) as counter:
            for number in range(kills):
                with program("kitchen", folder) as kitchen:
                    wait_for_dishes(kitchen, 10)
                    kitchen.kill()
                assert kitchen.returncode == -signal.SIGKILL
                print(f"kitchen {number + 1} was killed")
            with program("kitchen", folder) as kitchen:
                wait_for_dishes(kitchen, EVENING.orders)
                assert kitchen.wait(TIMEOUT) == 0       # closed by the counter's last message
            assert counter.wait(TIMEOUT) == 0
        orders, meals = recorded(Path(folder, JOURNAL))
    assert orders == list(range(1, EVENING.orders + 1))
    assert meals == orders, "a meal is missing, or was sent twice"
    print(f"{len(orders)} orders, {len(meals)} meals, each of them once and in order")
    return meals


@contextmanager
def program(worker: str, folder: str) -> Iterator[subprocess.Popen[str]]:
    """Start a program that has that worker; at the end there is none."""
    with subprocess.Popen(
        [sys.executable, "-m", "nanobus", "run", "table:messenger", "--only", worker],
        cwd=folder, env=os.environ | {"PYTHONPATH": str(HERE)}, text=True,
        stdout=subprocess.PIPE if worker == "kitchen" else subprocess.DEVNULL,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def wait_for_dishes(kitchen: subprocess.Popen[str], count: int) -> None:
    """Return once the kitchen has cooked so many, or is closed."""
    assert kitchen.stdout is not None
    for _ in zip(range(count), kitchen.stdout, strict=False):
        pass


def recorded(path: Path) -> tuple[list[int], list[int]]:
    """Return the numbers of all orders and of all meals, as the journal holds them."""
    orders: list[int] = []
    meals: list[int] = []
    with JournalBus(path) as journal, journal.reader("oldest") as reader:
        while isinstance(found := reader.read(timeout=0), Envelope):
            if found.message_id == 1:
                orders.append(found.decode(Order).number)
            elif found.message_id == 2:
                meals.append(found.decode(Meal).number)
    return orders, meals


if __name__ == "__main__":
    main()
