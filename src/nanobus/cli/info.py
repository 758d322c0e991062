"""`info`: what a journal is, and who has it open."""

from __future__ import annotations

import argparse
from typing import Any

from nanobus.cli.looking import Look, looking
from nanobus.cli.options import Commands, add_command
from nanobus.cli.wording import as_json, local


def add_to(commands: Commands) -> None:
    add_command(commands, "info", run, "show what a journal is: its ends, segments, cursors, messages, who has it open")


def run(options: argparse.Namespace) -> int:
    with looking(options.journal) as look:
        row = row_of(look)
        if options.json:
            print(as_json(row))
        else:
            print("\n".join(lines_of(row)))
        return int(look.is_damaged)


def row_of(look: Look) -> dict[str, Any]:
    scan, control = look.scan, look.scan.control
    first, last = edges(look)
    head = scan.end if control is None else control.head
    return {
        "path": scan.path,
        "tail": scan.tail,
        "head": head,
        "committed_end": scan.end,
        "durable": None if control is None else control.durable,
        "segments": len(scan.bases()),
        "segment_size": scan.segment_size,
        "disk_bytes": scan.disk_bytes(),
        "timestamps": scan.timestamps,
        "checksums": scan.checksum,
        "first_time": first,
        "last_time": last,
        "cursors": (control.cursors or {}) if control is not None else {},
        "in_flight": [] if control is None else [
            {"position": one.position, "length": one.length, "alive": one.alive}
            for one in control.intents if one.position < control.head
        ],
        "open": [] if control is None else [
            {"role": one.role, "process": one.process, "alive": one.alive, "position": one.position}
            for one in control.lines
        ],
        "messages": [
            {"id": one.id, "name": one.name, "codec": one.codec, "fingerprint": one.fingerprint, "since": one.since}
            for one in look.schema.messages
        ],
        "sources": [{"id": one.id, "name": one.name} for one in look.schema.sources],
    }


def edges(look: Look) -> tuple[int, int]:
    """Return when the first and the last message were committed; 0 where there is none. Walks over the last segment."""
    bases = [base for base in look.scan.bases() if look.scan.head is None or base < look.scan.head]
    last = 0
    for one in look.messages(max(bases[-1], look.scan.tail) if bases else None, tells=False):
        last = one.timestamp
    end = look.scan.end
    first = next((one.timestamp for one in look.messages(tells=False)), 0)
    look.scan.end = end
    return first, last


def lines_of(row: dict[str, Any]) -> list[str]:
    head = row["head"]
    lines = [
        f"journal     {row['path']}",
        f"positions   {row['tail']} to {head}, on the disk up to {row['durable']}",
        f"segments    {row['segments']} of {row['segment_size']} bytes, {row['disk_bytes']} bytes on the disk",
        f"messages    {'with' if row['timestamps'] else 'without'} timestamps, "
        f"{'with' if row['checksums'] else 'without'} checksums",
    ]
    if row["first_time"]:
        lines.append(f"time        {local(row['first_time'])} to {local(row['last_time'])}")
    if row["committed_end"] != head:
        lines.append(f"behind      the last sound message ends at {row['committed_end']}")
    lines += [f"in flight   {one['length']} bytes at {one['position']}, the writer "
              f"{'is at it' if one['alive'] else 'died'}" for one in row["in_flight"]]
    lines += [f"cursor      {name} at {position}, {head - position} behind"
              for name, position in row["cursors"].items()]
    lines += [f"open        {one['role']} of process {one['process']}{'' if one['alive'] else ', which died'}"
              for one in row["open"]]
    lines += [f"message     {one['id']:>5}  {one['name']}, {one['codec']}, from {one['since']} on"
              for one in row["messages"]]
    return lines + [f"handler     {one['id']:>5}  {one['name']}" for one in row["sources"]]
