"""How much of the suite is run, and how often: what `--quick` and `--full` mean to pyperf."""

from __future__ import annotations

from typing import NamedTuple


class Budget(NamedTuple):
    """How long a run may take.

    Notes
    -----
    A case costs a process more than `processes`, the one that finds out how many units fill `min_time`.
    """

    processes: int
    values: int
    min_time: float                         # seconds a value takes, at least
    rate_seconds: float                     # how long latency at a fixed rate is looked at, each time
    rounds: int                             # so many times
    loops: int = 0                          # units a value is made of; 0: as many as fill the time

    def options(self) -> list[str]:
        """Return pyperf's options."""
        counts = {"-p": self.processes, "-n": self.values, "-l": self.loops, "--min-time": self.min_time}
        return [str(word) for option in counts.items() for word in option]


BUDGETS = {
    "quick": Budget(processes=1, values=5, min_time=0.02, rate_seconds=0.5, rounds=2),
    "full": Budget(processes=4, values=5, min_time=0.1, rate_seconds=3.0, rounds=5),
    "tiny": Budget(processes=1, values=1, min_time=1e-6, rate_seconds=0.02, rounds=1, loops=1),  # shows nothing
}
