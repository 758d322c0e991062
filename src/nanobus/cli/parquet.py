"""Parquet, where pyarrow is installed. Payloads are JSON text: messages of one journal have many shapes."""

from __future__ import annotations

from collections.abc import Iterator
from importlib import import_module
from itertools import islice
from pathlib import Path
from typing import Any

from nanobus.cli.options import UsageError
from nanobus.cli.streams import sayable
from nanobus.cli.wording import as_json

BATCH = 1 << 14  # rows


def write_parquet(rows: Iterator[dict[str, Any]], path: Path) -> int:
    """Write `rows` into a new file; return how many there were.

    Raises
    ------
    UsageError
        pyarrow is not installed.
    """
    try:
        pyarrow, parquet = import_module("pyarrow"), import_module("pyarrow.parquet")
    except ImportError:
        raise UsageError("export to Parquet needs pyarrow, which is not installed") from None
    schema = pyarrow.schema([
        ("position", pyarrow.uint64()), ("timestamp", pyarrow.timestamp("ns", "UTC")), ("source", pyarrow.uint16()),
        ("source_name", pyarrow.string()), ("message", pyarrow.uint16()), ("message_name", pyarrow.string()),
        ("cause", pyarrow.uint64()), ("payload", pyarrow.string()),
    ])
    written = 0
    with parquet.ParquetWriter(path, schema) as writer:
        while batch := list(islice(rows, BATCH)):
            for row in batch:
                row["payload"] = as_json(row["payload"])
                row |= {name: sayable(row[name]) for name in ("source_name", "message_name", "payload")}
                row["timestamp"] = row["timestamp"] or None
                del row["time"]
            writer.write_table(pyarrow.Table.from_pylist(batch, schema))
            written += len(batch)
    return written
