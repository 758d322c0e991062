"""The chart: one small picture for each metric, all over the same seconds."""

from collections.abc import Iterable
from datetime import datetime
from pathlib import Path
from statistics import fmean

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import EngFormatter, MaxNLocator

from history import History, Point
from metrics import text_of, unit_of

INK, GREY, PALE, RED = "#262b33", "#78818e", "#e4e7eb", "#d62839"
COLOURS = {"cpu": "#2563a8", "memory": "#7a4fa3", "disk": "#2a8c5f", "network": "#c46a1b"}


def draw(history: History, path: Path) -> None:
    """Draw the history into a PNG: samples faint, averages strong, alerts with the range that was expected."""
    cells = arrange(list(history.samples), columns=2 if len(history.samples) <= 12 else 4)
    rows, columns = len(cells), len(cells[0])
    figure = Figure(figsize=(5.6 * columns, 1.8 * rows + 1.0), facecolor="white", layout="constrained")
    panels = figure.subplots(rows, columns, squeeze=False)
    for panel, metric in zip(panels.flat, (metric for row in cells for metric in row), strict=True):
        if metric is None:
            panel.set_visible(False)
        else:
            draw_metric(panel, history, metric)
    begin = datetime.fromtimestamp(history.begin / 1e9)
    alerts = f"{len(history.alerts)} alert{'' if len(history.alerts) == 1 else 's'}"
    figure.suptitle(
        f"This machine for {history.seconds:.0f} s from {begin:%H:%M:%S}, {alerts}\n",
        x=0.01, ha="left", color=INK, fontsize=14, fontweight="bold",
    )
    figure.supxlabel("seconds since the first sample", color=GREY, fontsize=9)
    add_legend(figure)
    figure.savefig(path, dpi=120)


def arrange(metrics: list[str], columns: int) -> list[list[str | None]]:
    """Lay metrics out in rows; those of another unit begin a new row, so that reads stand beside writes."""
    rows: list[list[str | None]] = []
    for unit in dict.fromkeys(map(unit_of, metrics)):
        row: list[str | None] = [metric for metric in metrics if unit_of(metric) is unit]
        row += [None] * (-len(row) % columns)
        rows += [row[start : start + columns] for start in range(0, len(row), columns)]
    return rows


def draw_metric(panel: Axes, history: History, metric: str) -> None:
    unit, colour = unit_of(metric), COLOURS[metric.split()[0]]
    seconds, values = seconds_and_values(history, history.samples[metric])
    panel.fill_between(seconds, values, color=colour, alpha=0.12, linewidth=0)
    panel.plot(seconds, values, color=colour, alpha=0.4, linewidth=1)
    panel.plot(*seconds_and_values(history, history.smoothed[metric]), color=colour, linewidth=2)
    for time, alert in history.alerts:
        if alert.metric == metric:
            second = (time - history.begin) / 1e9
            panel.plot([second] * 2, [alert.low, alert.high], color=RED, alpha=0.3, linewidth=6, solid_capstyle="butt")
            panel.plot(second, alert.value, "o", color=RED, markersize=7, markeredgecolor="white", clip_on=False)
    note = f"mean {text_of(metric, fmean(values))}, highest {text_of(metric, max(values))}"
    panel.set_title(metric, loc="left", color=INK, fontsize=11, fontweight="bold")
    panel.set_title(note, loc="right", color=GREY, fontsize=9)
    panel.set_xlim(0, max(history.seconds, 1.0))
    panel.set_ylim(0, unit.limit * 1.04 if unit.limit else max(*values, unit.noise) * 1.1)
    panel.xaxis.set_major_locator(MaxNLocator(10, steps=[1, 2, 5, 10]))
    panel.yaxis.set_major_locator(MaxNLocator(4, steps=[1, 2, 2.5, 5, 10]))
    panel.yaxis.set_major_formatter("{x:.0f} %" if unit.limit else EngFormatter(unit.symbol))
    panel.tick_params(colors=GREY, labelsize=8, length=0)
    panel.grid(axis="y", color=PALE, linewidth=0.8)
    panel.set_axisbelow(True)
    panel.spines[:].set_visible(False)
    panel.spines["bottom"].set(visible=True, color=GREY, alpha=0.5)


def add_legend(figure: Figure) -> None:
    """Say what the lines mean, above the panels on the right."""
    panel = figure.axes[0]
    marks = {
        "sample": panel.plot([], [], color=GREY, alpha=0.5, linewidth=1),
        "average": panel.plot([], [], color=GREY, linewidth=2),
        "alert": panel.plot([], [], "o", color=RED, markersize=7, markeredgecolor="white"),
        "expected range": panel.plot([], [], color=RED, alpha=0.3, linewidth=6),
    }
    handles = [lines[0] for lines in marks.values()]
    figure.legend(handles, marks, loc="upper right", ncols=len(marks), frameon=False, fontsize=9, labelcolor=GREY)


def seconds_and_values(history: History, points: Iterable[Point]) -> tuple[list[float], list[float]]:
    points = list(points)
    return [(point.time - history.begin) / 1e9 for point in points], [point.value for point in points]
