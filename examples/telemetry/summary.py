"""The tables at the end: what was measured, what went over which route, what bus and workers counted."""

from collections import Counter
from collections.abc import Sequence
from statistics import fmean

from nanobus import CircularBus, JoinHandles, JournalBus, Worker

from history import History
from messages import Finished, Started
from metrics import text_of

COUNTERS = ("handled", "skipped", "failures", "held", "restarts")


def summary(
    history: History, workers: Sequence[Worker], handles: JoinHandles, bus: CircularBus | JournalBus
) -> str:
    tables = [
        metric_table(history),
        table(("source", "message", "count", "receivers"), route_rows(history, workers), left=(0, 1, 3)),
        table(("worker", *COUNTERS), worker_rows(handles)),
        bus_lines(bus),
    ]
    return "\n\n".join(tables)


def metric_table(history: History) -> str:
    return table(("metric", "samples", "min", "mean", "max", "alerts"), metric_rows(history))


def bus_lines(bus: CircularBus | JournalBus) -> str:
    counted = bus.statistics()
    flowed = f"bus: {counted.committed} messages of {counted.committed_bytes} bytes, {counted.head} with their headers"
    if isinstance(bus, JournalBus):
        return f"{flowed}, recorded in {bus.path}"
    return (
        f"{flowed}, in a ring of {counted.capacity}\n     {counted.full} times full, {counted.aborted} messages aborted"
    )


def metric_rows(history: History) -> list[Sequence[object]]:
    alerts = Counter(raised.alert.metric for raised in history.alerts)
    rows: list[Sequence[object]] = []
    for metric, points in history.samples.items():
        values = [point.value for point in points]
        extent = (text_of(metric, value) for value in (min(values), fmean(values), max(values)))
        rows.append((metric, len(values), *extent, alerts[metric]))
    return rows


def route_rows(history: History, workers: Sequence[Worker]) -> list[Sequence[object]]:
    """One row for each message of each handler: how often it was sent, and who got it, of all workers."""
    routes: dict[tuple[type, type], list[str]] = {}
    for worker in workers:
        for (source, message), receivers in worker.routes.items():
            if isinstance(source, type):                    # what `main` sends comes from no handler
                routes.setdefault((source, message), []).extend(receiver.__name__ for receiver in receivers)
    return [
        (
            source.__name__,
            message.__name__,
            history.lives if message is Started else 1 if message is Finished else history.recorded[source.__name__],
            ", ".join(receivers),
        )
        for (source, message), receivers in routes.items()
    ]


def worker_rows(handles: JoinHandles) -> list[Sequence[object]]:
    return [
        (name, *(counters.get(counter, "-") for counter in COUNTERS)) for name, counters in handles.statistics().items()
    ]


def table(heads: Sequence[str], rows: Sequence[Sequence[object]], left: Sequence[int] = (0,)) -> str:
    texts = [heads, *([str(cell) for cell in row] for row in rows)]
    widths = [max(map(len, column)) for column in zip(*texts, strict=True)]
    lines = []
    for text in texts:
        cells = [
            cell.ljust(width) if column in left else cell.rjust(width)
            for column, (cell, width) in enumerate(zip(text, widths, strict=True))
        ]
        lines.append("  ".join(cells).rstrip())
    return "\n".join([lines[0], "-" * max(map(len, lines)), *lines[1:]])
