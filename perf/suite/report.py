"""The report: one Markdown table of all figures, by topic, and what they were made on."""

from __future__ import annotations

from suite.figures import TOPIC_OF_LATENCY, Figure, beside, in_words, shortened

HEAD = ("| | median | ± | a second | MB/s | beside |", "|---|---:|---:|---:|---:|---|")
CHARTS = {
    "throughput.png": "throughput against the size of a message",
    "topologies.png": "a message through each topology",
    "latency.png": "latency at a fixed rate",
    "readers_writers.png": "cost against the number of readers and writers",
}


def write(figures: list[Figure], machine: dict[str, str], remarks: list[str], charts: list[str]) -> str:
    """Return the Markdown.

    Parameters
    ----------
    remarks : list of str
        What was not measured, and why.
    charts : list of str
        Names of the pictures beside the report.
    """
    lines = ["# nanobus: a run of the suite", ""]
    lines += ["| | |", "|---|---|", *(f"| {name} | {value} |" for name, value in machine.items()), ""]
    lines += [f"- {remark}" for remark in remarks] + [""] * bool(remarks)
    lines += [f"![{CHARTS[name]}]({name})" for name in charts] + [""]
    lines += ["Medians; ± is half of the middle half of the values. `beside` is the multiple of another row.", ""]
    multiples = beside(figures)
    lines += HEAD
    topic = ""
    for figure in figures:
        if figure.topic == TOPIC_OF_LATENCY:
            continue
        if figure.topic != topic:
            topic = figure.topic
            lines.append(f"| **{topic}** | | | | | |")
        lines.append(row(figure, multiples.get(figure.name)))
    latencies = [figure for figure in figures if figure.topic == TOPIC_OF_LATENCY]
    return "\n".join(lines + (["", *latency(latencies)] if latencies else [])) + "\n"


def row(figure: Figure, multiple: tuple[float, str] | None) -> str:
    rate = 1 / figure.median
    factor, unit = (1e6, " M") if rate >= 1e6 else (1e3, " k") if rate >= 1e3 else (1, "")
    size = figure.fact("bytes")
    through = f"{size * rate / 1e6:,.0f}" if size else ""
    other = f"{shortened(multiple[0])} x {multiple[1]}" if multiple else ""
    cells = [figure.name, in_words(figure.median), f"{figure.spread:.0%}", shortened(rate / factor) + unit]
    return f"| {' | '.join([*cells, through, other])} |"


def latency(figures: list[Figure]) -> list[str]:
    """Return a table with a row for each partner and rate, a column for each percentile."""
    rows: dict[tuple[int, str, str], dict[str, Figure]] = {}
    for figure in figures:
        key = (figure.facts["rate"], figure.facts["what"], figure.facts["wait"])
        rows.setdefault(key, {})[figure.facts["figure"]] = figure
    columns = ["p50", "p90", "p99", "p99.9", "max", "busy", "idle"]
    lines = [f"| {TOPIC_OF_LATENCY} | " + " | ".join(columns) + " |", "|---|" + "---:|" * len(columns)]
    for (rate, what, wait), found in sorted(rows.items(), key=lambda one: one[0][0]):
        cells = [in_words(found[name].median) if name in found else "" for name in columns[:-1]]
        idle = f"{found['idle'].median:.2%}" if "idle" in found else ""
        lines.append(f"| {what}, {wait}, {rate}/s | " + " | ".join([*cells, idle]) + " |")
    return lines
