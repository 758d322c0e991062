"""Programs that tests run, and waiting for what others do."""

import os
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Sequence
from pathlib import Path

TESTS = Path(__file__).resolve().parent
SECONDS = 60                                # longer is a hang
# A program that is killed has printed what it flushed, and nothing more, wherever the tests run.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONUNBUFFERED"}


def wait_until(condition: Callable[[], object]) -> None:
    deadline = time.monotonic() + SECONDS
    while not condition():
        assert time.monotonic() < deadline, "it does not come true"
        time.sleep(0.005)


def run_program(
    code: str, *arguments: object, expected: int = 0, options: Sequence[str] = ("-W", "ignore")
) -> tuple[str, str]:
    """Run `code` as a program that can import what the tests share; return what it printed, and its errors."""
    done = subprocess.run(
        [sys.executable, *options, "-c", textwrap.dedent(code), *map(str, arguments)],
        capture_output=True, text=True, timeout=2 * SECONDS, env={**ENVIRONMENT, "PYTHONPATH": str(TESTS)},
    )
    assert done.returncode == expected, done.stderr
    return done.stdout, done.stderr
