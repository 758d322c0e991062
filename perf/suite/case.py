"""Case: a named measurement. A runner is a table of them, measured by pyperf."""

from __future__ import annotations

import argparse
import atexit
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from importlib.util import find_spec

import pyperf

from suite.budget import BUDGETS

Measure = Callable[[int], float]            # loops -> seconds
Fact = str | int


@dataclass(frozen=True)
class Case:
    """One row of a runner's table.

    Parameters
    ----------
    name : str
        Unique in the suite: `pyperf compare_to` finds a benchmark of another run by it.
    measure : callable
        Seconds that so many units take.
    quick : bool
        Whether `--quick` measures it.
    beside : str
        Name of the case whose multiple it is shown as: a floor for what is ours, ours for a rival.
    needs : str
        A module that has to be there; a case without it is named as not measured.
    facts : mapping
        What reports and charts sort by: they travel in the JSON as metadata.
    """

    name: str
    measure: Measure
    quick: bool = False
    beside: str = ""
    needs: str = ""
    facts: Mapping[str, Fact] = field(default_factory=dict)

    def missing(self) -> bool:
        return bool(self.needs) and find_spec(self.needs) is None


class Rig(ABC):
    """What stands ready between measurements: threads, processes, connections."""

    @abstractmethod
    def run(self, count: int) -> float:
        """Return the seconds that `count` units take."""

    @abstractmethod
    def stop(self) -> None:
        """End what was started, and leave nothing behind."""


def once(start: Callable[[], Rig]) -> Measure:
    """Return a measurement whose rig is set up at the first call and taken down when its process ends."""
    rigs: list[Rig] = []

    def measure(count: int) -> float:
        if not rigs:
            rigs.append(start())
            atexit.register(rigs[0].stop)
            rigs[0].run(min(count, 100))    # the first messages build connections and fill caches
        return rigs[0].run(count)

    return measure


def chosen(cases: Iterable[Case], budget: str) -> list[Case]:
    """Return the cases of a budget; of the tiny one, the first of each kind."""
    every = list(cases)
    if budget == "full":
        return every
    quick = [case for case in every if case.quick]
    if budget == "quick":
        return quick
    kinds = {case.facts.get("what"): case for case in reversed(quick)}
    return [case for case in quick if kinds[case.facts.get("what")] is case]


def measure(topic: str, cases: Iterable[Case]) -> None:
    """Be the program that measures a table of cases, with pyperf's options.

    Parameters
    ----------
    topic : str
        What the cases are about: the heading of their rows in the report.
    """

    def pass_on(command: list[str], arguments: argparse.Namespace) -> None:
        command += ["--budget", arguments.budget]

    runner = pyperf.Runner(add_cmdline_args=pass_on)
    runner.argparser.add_argument("--budget", choices=BUDGETS, default="full", help="which cases (default: all)")
    arguments = runner.parse_args()
    for case in chosen(cases, arguments.budget):
        if case.missing():
            if not arguments.worker:
                print(f"not measured: {case.name}, for {case.needs} is not installed", flush=True)
            continue
        facts = dict(case.facts, topic=topic)
        if case.beside:
            facts["beside"] = case.beside
        runner.bench_time_func(case.name, case.measure, metadata=facts)
