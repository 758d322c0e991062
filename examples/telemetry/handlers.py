"""The nano-services: one reads the machine, and the others only know what it sent.

They use nothing but messages, timers and `self.now`: given the same samples they send the same messages.
"""

from nanobus import Handler, every, on

from history import History, Point, RaisedAlert
from messages import Alert, Finish, Finished, Sample, Smoothed, Started
from metrics import read_counters, read_percentages

SMOOTHING = 0.3         # weight of the latest sample in the average


class Sampler(Handler, id=1):
    """Reads this machine: the only handler that looks at anything but messages.

    It runs in a process of its own, and may be killed there: the next one begins with new readings.
    """

    def __init__(self, config: History) -> None:
        super().__init__(config)
        self.counters: dict[str, int] = {}
        self.read_at = 0
        self.sent = 0
        self.finished = False

    def on_start(self) -> None:
        self.send(Started())

    @every(lambda history: history.interval)
    def read(self) -> None:
        if self.finished:
            return
        percentages, counters = read_percentages(), read_counters()
        if self.counters:                       # the first readings are what the second ones are compared with
            seconds = max(self.now - self.read_at, 1) / 1e9
            for metric, percent in percentages.items():
                self.send(Sample(metric, percent))
            for metric, total in counters.items():
                self.send(Sample(metric, max(total - self.counters.get(metric, total), 0) / seconds))
            self.sent += len(percentages) + len(counters)
        self.counters, self.read_at = counters, self.now

    @on(Finish)
    def finish(self, _: Finish) -> None:
        self.finished = True
        self.send(Finished("Sampler", self.sent))


class Smoother(Handler, id=2):
    """Averages each metric exponentially: the older a sample, the less it weighs."""

    def __init__(self, config: History) -> None:
        super().__init__(config)
        self.averages: dict[str, float] = {}
        self.sent = 0

    @on(Sample)
    def smooth(self, sample: Sample) -> None:
        average = self.averages.get(sample.metric, sample.value)
        average += SMOOTHING * (sample.value - average)
        self.averages[sample.metric] = average
        self.send(Smoothed(sample.metric, average))
        self.sent += 1

    @on(Finished)
    def finish(self, _: Finished) -> None:
        self.send(Finished("Smoother", self.sent))


class Recorder(Handler, id=4):
    """Writes everything down, and stops the messenger once nothing more can come."""

    def __init__(self, config: History) -> None:
        super().__init__(config)
        self.history = config

    @on(Started)
    def started(self, _: Started) -> None:
        self.history.begin_life()

    @on(Sample)
    def sample(self, sample: Sample) -> None:
        self.history.samples[sample.metric].append(Point(self.now, sample.value))

    @on(Smoothed)
    def smoothed(self, smoothed: Smoothed) -> None:
        self.history.smoothed[smoothed.metric].append(Point(self.now, smoothed.value))

    @on(Alert)
    def alert(self, alert: Alert) -> None:
        self.history.alerts.append(RaisedAlert(self.now, alert))

    @on(Finished)
    def finished(self, finished: Finished) -> None:
        self.history.sent.setdefault(finished.handler, finished.sent)   # one killed saying it lets the next repeat it
        if self.history.is_finished:
            self.stop()
