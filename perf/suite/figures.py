"""What the JSON of a run holds, as the report and the charts want it."""

from __future__ import annotations

import statistics
from typing import Any, NamedTuple

import pyperf

TOPIC_OF_LATENCY = "Latency at a fixed rate, between two processes"


class Figure(NamedTuple):
    """One benchmark."""

    name: str
    topic: str
    median: float                           # seconds
    spread: float                           # half of what lies between the first and the last quarter, of the median
    facts: dict[str, Any]                   # metadata: topology, what, where, bytes, beside ...
    histograms: list[str]                   # of a latency, one a round

    def fact(self, name: str) -> Any:
        return self.facts.get(name)


def read(suite: pyperf.BenchmarkSuite) -> list[Figure]:
    figures = []
    for benchmark in suite:
        values = sorted(benchmark.get_values())
        facts = benchmark.get_metadata()
        spread = 0.0
        if len(values) > 1:
            low, _, high = statistics.quantiles(values, n=4, method="inclusive")
            spread = (high - low) / 2 / benchmark.median()
        histograms = [one for run in benchmark.get_runs() if (one := run.get_metadata().get("histogram"))]
        topic = facts.get("topic", "")
        figures.append(Figure(benchmark.get_name(), topic, benchmark.median(), spread, facts, histograms))
    return figures


def beside(figures: list[Figure]) -> dict[str, tuple[float, str]]:
    """Return name -> (multiple, of whose), for each that is shown beside another one of the run."""
    by_name = {figure.name: figure for figure in figures}
    return {
        one.name: (one.median / by_name[other].median, other)
        for one in figures
        if (other := one.fact("beside")) in by_name
    }


def in_words(seconds: float) -> str:
    """Return a time with three digits and its unit."""
    for factor, unit in ((1e9, "ns"), (1e6, "us"), (1e3, "ms")):
        if seconds * factor < 999.5 or unit == "ms":
            return f"{shortened(seconds * factor)} {unit}"
    raise AssertionError("milliseconds are the last")


def shortened(number: float) -> str:
    """Return three digits of a number."""
    if number >= 999.5:
        return f"{number:,.0f}"
    return f"{number:.{0 if number >= 99.95 else 1 if number >= 9.995 else 2}f}"
