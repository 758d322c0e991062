"""`nanobus journal export`: JSON Lines and Parquet; the bar on a terminal."""

import json
import os
import pty
import sys

import pyarrow.parquet
import pytest

from nanobus.cli import progress
from nanobus.cli.progress import Progress
from recorded import Command, record


@pytest.fixture
def command(capsys):
    return Command(capsys)


@pytest.fixture(scope="module")
def journal(tmp_path_factory):
    path = tmp_path_factory.mktemp("recorded") / "journal"
    record(path)
    return path


def test_json_lines_are_what_cat_shows(command, journal, tmp_path):
    output = tmp_path / "out.jsonl"
    assert command("export", journal, output) == f"402 messages to {output}\n"
    assert command.code == 0
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert rows == command.lines("cat", journal)
    assert list(tmp_path.iterdir()) == [output]


def test_an_export_can_be_a_part(command, journal, tmp_path):
    row = command.row("export", journal, tmp_path / "out", "--format", "jsonl", "--message", "Alarm")
    assert row == {"messages": 2, "output": str(tmp_path / "out"), "format": "jsonl"}


def test_json_lines_to_stdout(command, journal):
    rows = command.lines("cat", journal, "--limit", "3")
    printed = command("export", journal, "-", "--limit", "3")
    assert [json.loads(line) for line in printed.splitlines()] == rows
    assert command.errors == "3 messages to -\n"


def test_a_file_is_only_replaced_when_told(command, journal, tmp_path):
    output = tmp_path / "out.jsonl"
    output.write_text("precious")
    command("export", journal, output)
    assert command.code == 2
    assert output.read_text() == "precious"
    command("export", journal, output, "--force")
    assert command.code == 0
    assert output.read_text().startswith("{")


def test_a_suffix_that_names_no_format_is_refused(command, journal, tmp_path):
    command("export", journal, tmp_path / "out.csv")
    assert command.code == 2
    assert "--format" in command.errors
    assert list(tmp_path.iterdir()) == []


def test_parquet_holds_the_same(command, journal, tmp_path):
    output = tmp_path / "out.parquet"
    command("export", journal, output)
    assert command.code == 0, command.errors
    table = pyarrow.parquet.read_table(output)
    rows = command.lines("cat", journal)
    assert table.column("position").to_pylist() == [row["position"] for row in rows]
    assert table.column("cause").to_pylist() == [row["cause"] for row in rows]
    assert [json.loads(text) for text in table.column("payload").to_pylist()] == [row["payload"] for row in rows]
    assert table.column("timestamp").cast("int64").to_pylist() == [row["timestamp"] for row in rows]


def test_parquet_without_pyarrow_says_what_is_missing(command, journal, tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    command("export", journal, tmp_path / "out.parquet")
    assert command.code == 2
    assert command.errors == "nanobus: export to Parquet needs pyarrow, which is not installed\n"
    assert list(tmp_path.iterdir()) == []


def read_on(terminal):
    """Return more of what was printed on a terminal that is closed by now; at its end nothing."""
    try:
        return os.read(terminal, 1000)
    except OSError:                                         # so says a terminal that it is at its end
        return b""


def test_a_bar_is_drawn_on_a_terminal_and_removed(monkeypatch):
    ours, its = pty.openpty()
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    try:
        with open(its, "w") as terminal:
            monkeypatch.setattr(sys, "stderr", terminal)
            with Progress(200) as bar:
                bar.show(100)
            monkeypatch.undo()
        shown = b"".join(iter(lambda: read_on(ours), b"")).decode()
    finally:
        os.close(ours)
    assert shown.startswith("\r" + "#" * 15 + "." * 15 + "  50%")
    assert shown.endswith("\r\x1b[K")


def test_no_bar_where_nobody_looks(capsys, monkeypatch):
    monkeypatch.setattr(progress, "PATIENCE", 0.0)
    with Progress(200) as bar:
        bar.show(100)
    assert capsys.readouterr().err == ""
