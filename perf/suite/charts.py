"""Pictures of a run: what is ours is drawn solid, what is others' dashed or in grey, floors are dotted."""

from __future__ import annotations

from collections.abc import Callable
from math import log10
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from hdrh.histogram import HdrHistogram
from matplotlib.ticker import FuncFormatter, NullFormatter

from suite.figures import TOPIC_OF_LATENCY, Figure, in_words
from suite.messages import SIZE_NAMES

OURS = {
    "native": "#d62728",
    "native, journal": "#ff9896",
    "native, in batches": "#8b0000",
    "handlers, Record": "#1f77b4",
    "handlers, Record, journal": "#9ecae1",
    "handlers, msgspec": "#9467bd",
    "handlers, raw": "#17becf",
    "nanobus, reader and writer": "#2ca02c",
    "nanobus journal, reader and writer": "#98df8a",
    "a handler answers": "#1f77b4",
}
OTHERS = {
    "SimpleQueue": ("#333333", "o"),
    "iceoryx2": ("#b8860b", "s"),
    "faster-fifo": ("#8c564b", "^"),
    "mp.Pipe": ("#7f7f7f", "v"),
    "pyzmq": ("#bc5090", "D"),
    "mp.Queue": ("#a0a0a0", "X"),
}
TOPOLOGIES = ("one_to_one", "one_to_three", "three_to_one", "pipeline", "diamond", "ping_pong")
GREY = "#777777"
Axes = Any


def draw(figures: list[Figure], folder: Path) -> list[str]:
    """Draw what the figures are enough for; return the names of the files."""
    drawn = []
    charts: dict[str, Callable[[list[Figure]], Any]] = {
        "throughput.png": throughput,
        "topologies.png": topologies,
        "latency.png": latency,
        "readers_writers.png": readers_writers,
    }
    for name, chart in charts.items():
        picture = chart(figures)
        if picture is not None:
            picture.savefig(folder / name, dpi=120, bbox_inches="tight")
            plt.close(picture)
            drawn.append(name)
    return drawn


def style(what: str) -> dict[str, Any]:
    if what in OURS:
        return {"color": OURS[what], "marker": "o", "linewidth": 2, "markersize": 5, "zorder": 3}
    colour, marker = OTHERS.get(what, (GREY, "P"))
    return {"color": colour, "marker": marker, "linestyle": "--", "linewidth": 1.2, "markersize": 5, "zorder": 2}


def throughput(figures: list[Figure]) -> Any:
    found = [one for one in figures if one.fact("topology") == "one_to_one"]
    if not found:
        return None
    copies = {one.fact("bytes"): one for one in figures if one.name.startswith("copy, ")}
    picture, panels = plt.subplots(1, 2, figsize=(13, 5.5), sharey=True)
    for panel, where in zip(panels, ("threads", "processes"), strict=True):
        for what in dict.fromkeys(one.facts["what"] for one in found):
            points = best([one for one in found if one.facts["what"] == what and one.fact("where") == where])
            if points:
                panel.plot(
                    [one.facts["bytes"] for one in points], [one.facts["bytes"] / one.median / 1e6 for one in points],
                    label=what, **style(what),
                )
        if copies:
            sizes = sorted(copies)
            panel.plot(sizes, [one / copies[one].median / 1e6 for one in sizes], "k:", label="memcpy")
        panel.set_title(f"one to one, between {where}")
        panel.set_xscale("log", base=2)
        panel.set_yscale("log")
        panel.set_xticks(list(SIZE_NAMES), SIZE_NAMES.values())
        panel.set_xlabel("size of a message")
        panel.grid(alpha=0.3, which="major")
        panel.legend(fontsize=8, loc="upper center", bbox_to_anchor=(0.5, -0.12), ncols=3)
    panels[0].set_ylabel("MB/s (a queue of references copies nothing)")
    return picture


def best(points: list[Figure]) -> list[Figure]:
    """Return the fastest of each size: one may be there with several ways of waiting."""
    fastest: dict[int, Figure] = {}
    for one in sorted(points, key=lambda one: -one.median):
        fastest[one.facts["bytes"]] = one
    return [fastest[size] for size in sorted(fastest)]


def topologies(figures: list[Figure]) -> Any:
    found = [one for one in figures if one.fact("topology") and one.fact("bytes") == 32]
    if not found:
        return None
    names = [one for one in TOPOLOGIES if any(figure.fact("topology") == one for figure in found)]
    picture, panels = plt.subplots(2, 3, figsize=(15, 9), squeeze=False)
    for panel in panels.flat[len(names):]:
        panel.set_visible(False)
    for panel, name in zip(panels.flat, names, strict=False):
        bars = [one for one in found if one.fact("topology") == name]
        bars = sorted(fastest_of_each(bars), key=lambda one: -one.median)
        labels = [f"{one.facts['what']} ({one.facts['where']})" for one in bars]
        colours = [OURS.get(one.facts["what"], GREY) for one in bars]
        drawn = panel.barh(labels, [one.median * 1e9 for one in bars], color=colours)
        panel.bar_label(drawn, [in_words(one.median) for one in bars], padding=3, fontsize=7)
        panel.set_xscale("log")
        panel.set_xlim(min(one.median for one in bars) * 0.5e9, max(one.median for one in bars) * 5e9)
        panel.xaxis.set_minor_formatter(NullFormatter())
        panel.set_title(name.replace("_", " "))
        panel.tick_params(axis="y", labelsize=7)
        panel.set_xlabel("ns a round trip" if name == "ping_pong" else "ns a message")
        panel.grid(alpha=0.3, axis="x")
    picture.suptitle("32 bytes")
    picture.tight_layout()
    return picture


def fastest_of_each(figures: list[Figure]) -> list[Figure]:
    fastest: dict[tuple[str, str], Figure] = {}
    for one in sorted(figures, key=lambda one: -one.median):
        fastest[one.facts["what"], one.facts["where"]] = one
    return list(fastest.values())


def latency(figures: list[Figure]) -> Any:
    found = [one for one in figures if one.topic == TOPIC_OF_LATENCY and one.histograms]
    if not found:
        return None
    rates = sorted({one.facts["rate"] for one in found})
    picture, panels = plt.subplots(1, len(rates), figsize=(7 * len(rates), 5.5), squeeze=False, sharey=True)
    for panel, rate in zip(panels.flat, rates, strict=True):
        for one in found:
            if one.facts["rate"] != rate:
                continue
            whole = HdrHistogram.decode(one.histograms[0])
            for other in one.histograms[1:]:
                whole.decode_and_add(other)
            deepest = max(1.0, whole.get_total_count())
            parts = [10 ** -(step / 20) for step in range(int(20 * log10(deepest)) + 1)]
            times = [whole.get_value_at_percentile(100 * (1 - part)) / 1e3 for part in parts]
            drawn = style(one.facts["what"]) | {"markevery": 20}
            panel.plot([1 / part for part in parts], times, label=one.facts["what"], **drawn)
        panel.set_xscale("log")
        panel.set_yscale("log")
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{100 * (1 - 1 / value):.6g}%"))
        panel.set_xlabel("percentile")
        panel.set_title(f"{rate:,} questions of 32 bytes a second, asleep in between")
        panel.grid(alpha=0.3)
    panels[0][0].set_ylabel("us from due to answered")
    panels[0][-1].legend(fontsize=8, loc="upper left", bbox_to_anchor=(1, 1))
    return picture




def readers_writers(figures: list[Figure]) -> Any:
    found = [one for one in figures if one.fact("readers") or one.fact("writers")]
    if not found:
        return None
    picture, panels = plt.subplots(1, 2, figsize=(13, 5), sharey=False)
    lines = (
        (panels[0], "a write alone", "readers", "a write beside readers that keep up", "#d62728"),
        (panels[1], "a message, with readers in threads", "readers", "1 writer, readers in threads", "#1f77b4"),
        (panels[1], "a message, with writers in threads", "writers", "writers in threads, 1 reader", "#2ca02c"),
    )
    for panel, what, fact, label, colour in lines:
        points = sorted((one.facts[fact], one.median * 1e9) for one in found if one.fact("what") == what)
        if points:
            panel.plot(*zip(*points, strict=True), label=label, marker="o", color=colour)
    for panel, title in zip(panels, ("native, one thread", "native, each in a thread of its own"), strict=True):
        panel.set_xscale("log", base=2)
        panel.set_ylim(bottom=0)
        panel.set_title(title)
        panel.set_ylabel("ns a message of 32 bytes")
        panel.set_xlabel("readers, or writers")
        panel.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        panel.grid(alpha=0.3)
        panel.legend(fontsize=8)
    return picture
