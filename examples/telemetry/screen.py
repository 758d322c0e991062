"""The screen: a handler like the others, in a worker of its own, so that a slow terminal delays nobody."""

import shutil
import sys
from collections import deque

from nanobus import Handler, every, on

from history import History
from messages import Alert, Smoothed
from metrics import text_of, unit_of

LEVELS = "▁▂▃▄▅▆▇█"
BAR_WIDTH = 24
HISTORY_WIDTH = 60
ALERTS_SHOWN = 4
BOLD, DIM, RED, GREEN, CYAN, RESET = "\x1b[1m", "\x1b[2m", "\x1b[31m", "\x1b[32m", "\x1b[36m", "\x1b[0m"
CLEAR_REST_OF_LINE, HIDE_CURSOR, SHOW_CURSOR = "\x1b[K", "\x1b[?25l", "\x1b[?25h"


class Screen(Handler):
    """What is to be shown; a base of the two handlers that show it."""

    def __init__(self, config: History) -> None:
        super().__init__(config)
        self.begin = 0
        self.averages: dict[str, deque[float]] = {}
        self.alerts: list[str] = []

    @on(Smoothed)
    def smoothed(self, smoothed: Smoothed) -> None:
        self.begin = self.begin or self.now
        averages = self.averages.setdefault(smoothed.metric, deque(maxlen=HISTORY_WIDTH))
        averages.append(smoothed.value)

    @on(Alert)
    def alert(self, alert: Alert) -> None:
        value, low, high = (text_of(alert.metric, number) for number in (alert.value, alert.low, alert.high))
        self.alerts.append(f"{self.seconds:6.1f} s  {alert.metric:<12}{value:>9}, expected {low} to {high}")

    @property
    def seconds(self) -> float:
        """Seconds since the first message."""
        return (self.now - self.begin) / 1e9 if self.begin else 0.0


class TextScreen(Screen, id=5):
    """One line a second: for a file or a pipe."""

    @on(Alert)
    def alert(self, alert: Alert) -> None:
        super().alert(alert)
        print(f"alert {self.alerts[-1]}", flush=True)

    @every(1.0)
    def show(self) -> None:
        values = "  ".join(f"{metric} {text_of(metric, last[-1])}" for metric, last in self.averages.items())
        print(f"{self.seconds:5.1f} s  {values}", flush=True)


class LiveScreen(Screen, id=6):
    """Bars and their history, drawn over the last ones: for a terminal."""

    def __init__(self, config: History) -> None:
        super().__init__(config)
        self.lines_drawn = 0

    @every(0.25)
    def draw(self) -> None:
        columns, rows = shutil.get_terminal_size()
        lines = [f"{BOLD}nanobus telemetry{RESET}  {self.seconds:5.1f} s   {DIM}Ctrl-C ends it{RESET}", ""]
        metrics = list(self.averages)[-max(rows - ALERTS_SHOWN - 5, 1):]        # of many CPUs the last ones
        lines += [self.line(metric, columns) for metric in metrics]
        lines += ["", f"{DIM}last alerts{RESET}"]
        lines += [f"{RED}{text[:columns - 1]}{RESET}" for text in self.alerts[-ALERTS_SHOWN:]]
        lines += [""] * (ALERTS_SHOWN - len(self.alerts))
        lines = lines[: rows - 1]
        up = f"\x1b[{self.lines_drawn}F" if self.lines_drawn else HIDE_CURSOR
        sys.stdout.write(up + "".join(f"{line}{CLEAR_REST_OF_LINE}\n" for line in lines))
        sys.stdout.flush()
        self.lines_drawn = len(lines)

    def line(self, metric: str, columns: int) -> str:
        averages = self.averages[metric]
        scale = unit_of(metric).limit or max(*averages, unit_of(metric).noise)
        filled = round(averages[-1] / scale * BAR_WIDTH)
        room = max(columns - BAR_WIDTH - 26, 0)
        past = "".join(LEVELS[round(value / scale * (len(LEVELS) - 1))] for value in averages)[-room:] if room else ""
        bar = f"{GREEN}{'█' * filled}{RESET}{DIM}{'░' * (BAR_WIDTH - filled)}{RESET}"
        return f"{metric:<12}{bar}{text_of(metric, averages[-1]):>10}  {CYAN}{past}{RESET}"

    def on_stop(self) -> None:
        self.draw()
        sys.stdout.write(SHOW_CURSOR)
        sys.stdout.flush()
