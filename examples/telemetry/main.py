"""Telemetry: watch this machine, find what is unusual, show it live, and sum it up in tables and a chart.

    worker "sensing"      worker "analysis"                   worker "screen"

      Sampler --+ Sample --> Smoother --+ Smoothed ----------> LiveScreen,
                + Sample --> Detector --+ Alert -------------> or TextScreen
                + Sample --> Recorder <-+                      where nobody looks

    a process of its own  a thread                            a thread

    python examples/telemetry/main.py --seconds 20 --chart telemetry.png

Ctrl-C ends it sooner; tables and chart come all the same. Kill the sampler's process (`pkill -9 -f sensing`), and the
next one goes on. With `--journal DIR` everything that flows is recorded; `--replay DIR` draws the chart from it, and
`--verify DIR` proves that today's handlers send the same.
"""

import argparse
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from nanobus import CircularBus, JoinHandles, JournalBus, Messenger, Worker

from detector import Detector
from handlers import Recorder, Sampler, Smoother
from history import History
from messages import Alert, Finish, Finished, Sample, Smoothed, Started
from record import open_record, replay, verify
from screen import LiveScreen, TextScreen
from summary import metric_table, summary

OUTSIDE = 100           # the source id of what no handler sends
TIMEOUT = 60


@dataclass
class Outcome:
    history: History
    interrupted: bool = False


def main(arguments: Sequence[str] | None = None) -> Outcome:
    options = parse(arguments)
    if options.verify is not None:
        print(verify(options.verify, workers(TextScreen)))
        return Outcome(History())
    if options.replay is not None:
        history = replay(options.replay, workers(TextScreen))
        print(f"{metric_table(history)}\n")
        draw(history, options.chart)
        return Outcome(history)
    return watch(options)


def watch(options: argparse.Namespace) -> Outcome:
    """Watch this machine, and sum it up."""
    history = History(interval=options.interval)
    bus: CircularBus | JournalBus = (
        CircularBus(1 << 20, timestamps=True) if options.journal is None else open_record(options.journal)
    )
    messenger = Messenger(bus, workers(LiveScreen if sys.stdout.isatty() else TextScreen), config=history)
    with bus:
        with bus.sender(OUTSIDE) as outside, messenger.run() as handles:
            interrupted = wait(handles, options.seconds)
            outside.send(Finish())
            handles.join(TIMEOUT)                           # the recorder stops the messenger once it has everything

        assert history.is_complete, f"sent {history.sent}, recorded {history.recorded}"
        assert history.recorded["Sampler"] == history.recorded["Smoother"]
        print(f"\n{summary(history, messenger.workers, handles, bus)}")
    draw(history, options.chart)
    return Outcome(history, interrupted)


def draw(history: History, path: Path) -> None:
    if history.samples:
        import chart  # here: the sampler's process imports this module, too

        chart.draw(history, path)
        print(f"chart: {path}")
    else:
        print("no samples, no chart")


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="watch this machine through a message bus")
    parser.add_argument("--seconds", type=float, default=10.0, help="how long to watch (default 10)")
    parser.add_argument("--interval", type=positive, default=0.2, help="seconds between samples (default 0.2)")
    parser.add_argument("--chart", type=Path, default=Path("telemetry.png"), help="where to draw it (telemetry.png)")
    record = parser.add_mutually_exclusive_group()
    record.add_argument("--journal", type=Path, metavar="DIR", help="record everything that flows in this new folder")
    record.add_argument("--replay", type=Path, metavar="DIR", help="draw the chart of a record, and watch nothing")
    record.add_argument("--verify", type=Path, metavar="DIR", help="see that the handlers send what a record holds")
    return parser.parse_args(arguments)


def positive(text: str) -> float:
    number = float(text)
    if not number >= 0.001:
        raise argparse.ArgumentTypeError(f"must be at least 0.001, got {text}")
    return number


def workers(screen: type[LiveScreen] | type[TextScreen]) -> list[Worker]:
    """Return the routing tables: all that links the handlers."""
    return [
        Worker(
            "sensing", [Sampler], routes={(OUTSIDE, Finish): [Sampler]},
            process=True, restart="on-failure", max_restarts=10,
        ),
        Worker(
            "analysis",
            [Smoother, Detector, Recorder],
            routes={
                (Sampler, Started): [Recorder],
                (Sampler, Sample): [Smoother, Detector, Recorder],
                (Sampler, Finished): [Smoother, Detector, Recorder],
                (Smoother, Smoothed): [Recorder],
                (Smoother, Finished): [Recorder],
                (Detector, Alert): [Recorder],
                (Detector, Finished): [Recorder],
            },
        ),
        Worker("screen", [screen], routes={(Smoother, Smoothed): [screen], (Detector, Alert): [screen]}),
    ]


def wait(handles: JoinHandles, seconds: float) -> bool:
    """Wait so long, or until a handler fails or the user has seen enough; return whether it was the user."""
    with suppress(KeyboardInterrupt):
        handles.wait(seconds)
        return False
    return True


if __name__ == "__main__":
    sys.exit(130 if main().interrupted else 0)
