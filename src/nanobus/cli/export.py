"""`export`: messages into a file, as JSON Lines or Parquet."""

from __future__ import annotations

import argparse
import json
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from nanobus.cli.looking import looking
from nanobus.cli.options import Commands, UsageError, add_command, add_selection
from nanobus.cli.parquet import write_parquet
from nanobus.cli.progress import Progress
from nanobus.cli.selection import Selection
from nanobus.cli.streams import ESCAPES, say
from nanobus.cli.wording import Wording, as_json

SUFFIXES = {".jsonl": "jsonl", ".ndjson": "jsonl", ".json": "jsonl", ".parquet": "parquet"}

Row = dict[str, Any]


def add_to(commands: Commands) -> None:
    parser = add_command(commands, "export", run, "write messages into a file of JSON Lines or Parquet")
    parser.add_argument("output", metavar="OUTPUT", help="the file; - for JSON Lines to stdout")
    parser.add_argument("--format", choices=("jsonl", "parquet"), help="where the file's suffix does not say it")
    parser.add_argument("--force", action="store_true", help="replace OUTPUT if it exists")
    add_selection(parser)


def run(options: argparse.Namespace) -> int:
    form = options.format or ("jsonl" if options.output == "-" else SUFFIXES.get(Path(options.output).suffix))
    if form is None:
        raise UsageError(f"the suffix of {options.output} names no format: --format jsonl or --format parquet does")
    if form == "parquet" and options.output == "-":
        raise UsageError("parquet needs a file, not stdout")
    if os.path.lexists(options.output) and not options.force:
        raise UsageError(f"{options.output} exists: --force replaces it")
    with looking(options.journal) as look:
        wording = Wording(look.decoder)
        selection = Selection(options, look, wording)
        start = look.scan.tail if selection.start is None else selection.start
        with Progress((look.scan.head or 0) - start) as progress:
            rows = counted(selection.of(look.messages(selection.start)), wording, progress, start)
            exported = write_lines(rows) if options.output == "-" else write_file(rows, Path(options.output), form)
        report = say if options.output == "-" else print
        if options.json:
            report(json.dumps({"messages": exported, "output": options.output, "format": form}))
        else:
            report(f"{exported} messages to {options.output}")
        return int(look.is_damaged)


def counted(messages: Iterable[Any], wording: Wording, progress: Progress, start: int) -> Iterator[Row]:
    for message in messages:
        progress.show(message.position - start)
        yield wording.row(message)


def write_file(rows: Iterator[Row], output: Path, form: str) -> int:
    """Write beside the output, and rename when all is there."""
    part = output.with_name(f".{output.name}.part")
    try:
        if form == "parquet":
            exported = write_parquet(rows, part)
        else:
            with open(part, "w", encoding="utf-8", errors=ESCAPES) as file:
                exported = write_lines(rows, file)
        part.replace(output)
    except BaseException:
        part.unlink(missing_ok=True)
        raise
    return exported


def write_lines(rows: Iterator[Row], file: Any = None) -> int:
    written = 0
    write = (file or sys.stdout).write
    for row in rows:
        write(f"{as_json(row)}\n")
        written += 1
    return written
