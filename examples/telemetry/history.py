"""What happened, as far as messages tell: all that the chart and the summary are made of."""

from collections import defaultdict
from dataclasses import dataclass, field
from typing import NamedTuple

from messages import Alert


class Point(NamedTuple):
    """A value at a time in unix ns."""

    time: int
    value: float


class RaisedAlert(NamedTuple):
    """An alert, and when it was raised, in unix ns."""

    time: int
    alert: Alert


@dataclass
class History:
    """Every sample and every average by metric, every alert; and how many of them their senders say there are.

    It is also what the handlers are configured with: `interval`, seconds between samples.
    """

    interval: float = 0.2
    samples: defaultdict[str, list[Point]] = field(default_factory=lambda: defaultdict(list))
    smoothed: defaultdict[str, list[Point]] = field(default_factory=lambda: defaultdict(list))
    alerts: list[RaisedAlert] = field(default_factory=list)
    sent: dict[str, int] = field(default_factory=dict)
    lives: int = 0                      # how often the sampler was started
    of_former_lives: int = 0            # samples that came before the last time: who sent them cannot say how many

    def begin_life(self) -> None:
        """Note that the sampler was started; what it does after its last word does not count."""
        self.lives += 1
        if "Sampler" not in self.sent:
            self.of_former_lives = self.recorded["Sampler"]

    @property
    def recorded(self) -> dict[str, int]:
        """How many messages of each sender are here."""
        samples, smoothed = (sum(map(len, points.values())) for points in (self.samples, self.smoothed))
        return {"Sampler": samples, "Smoother": smoothed, "Detector": len(self.alerts)}

    @property
    def is_finished(self) -> bool:
        """Whether every sender has said its last word."""
        return self.sent.keys() == self.recorded.keys()

    @property
    def is_complete(self) -> bool:
        """Whether everything is here that was sent by those who could say how much that was."""
        recorded = self.recorded
        recorded["Sampler"] -= self.of_former_lives
        return self.sent == recorded

    @property
    def begin(self) -> int:
        """Unix ns of the first sample."""
        return min(points[0].time for points in self.samples.values())

    @property
    def seconds(self) -> float:
        """Seconds from the first sample to the last."""
        return (max(points[-1].time for points in self.samples.values()) - self.begin) / 1e9
