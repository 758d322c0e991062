"""The nano-service that knows what is unusual."""

from collections import defaultdict, deque
from statistics import fmean, pstdev

from nanobus import Handler, on

from history import History
from messages import Alert, Finished, Sample
from metrics import unit_of

WINDOW = 50             # samples that a value is compared with
WARM_UP = 10            # samples before the first verdict
UNLIKELY = 4.0          # standard deviations


class Detector(Handler, id=3):
    """Raises an alert when a value leaves the range of the last ones; the next one only after it came back.

    The range is the window's mean, give or take `UNLIKELY` times its standard deviation. A flat window has next to
    none: the noise of the unit takes its place.
    """

    def __init__(self, config: History) -> None:
        super().__init__(config)
        self.windows: defaultdict[str, deque[float]] = defaultdict(lambda: deque(maxlen=WINDOW))
        self.outside: set[str] = set()
        self.sent = 0

    @on(Sample)
    def judge(self, sample: Sample) -> None:
        window = self.windows[sample.metric]
        if len(window) >= WARM_UP:
            mean = fmean(window)
            reach = UNLIKELY * max(pstdev(window, mean), unit_of(sample.metric).noise)
            if abs(sample.value - mean) <= reach:
                self.outside.discard(sample.metric)
            elif sample.metric not in self.outside:
                self.outside.add(sample.metric)
                self.send(Alert(sample.metric, sample.value, low=max(mean - reach, 0.0), high=mean + reach))
                self.sent += 1
        window.append(sample.value)

    @on(Finished)
    def finish(self, _: Finished) -> None:
        self.send(Finished("Detector", self.sent))
