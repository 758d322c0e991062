"""`nanobus journal` and its streams: closed ones, those that cannot encode everything, and exit codes."""

import json
import os
import subprocess
import sys

import pyarrow.parquet
import pydantic
import pytest

from nanobus import JournalBus, message
from nanobus.bus.codec import find_codec
from nanobus.cli import verify
from nanobus.schema import update
from recorded import Command, flip, segments_of


@message(id=1210)
class Remark(pydantic.BaseModel):
    text: str


SAID = ["plain", "h\u00e9\u20ac \U0001f600", "half a pair: \ud800"]


@pytest.fixture
def command(capsys):
    return Command(capsys)


@pytest.fixture
def journal(tmp_path):
    path = tmp_path / "journal"
    with JournalBus(path) as bus:
        update(path, lambda schema: schema.merge([find_codec(Remark)], {}, bus.head))
        for text in SAID:
            bus.write(1, 1210, json.dumps({"text": text}).encode())
    return path


def shell(line, encoding="utf-8", **variables):
    """Run a line of bash in which $nanobus is the command; return exit code, output, errors."""
    variables = {**os.environ, "nanobus": f"{sys.executable} -m nanobus journal", **variables}
    done = subprocess.run(["bash", "-c", line], env=variables, capture_output=True, timeout=60)
    return done.returncode, done.stdout.decode(encoding), done.stderr.decode()


@pytest.mark.parametrize("name", ["info", "cat", "tail", "verify", "repair", "trace", "export"])
@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-", "<&-"])
def test_a_closed_stream_is_no_damage(journal, tmp_path, name, closed):
    rest = {"trace": "0", "export": tmp_path / "out.jsonl"}.get(name, "")
    code, _, errors = shell(f"$nanobus {name} {journal} {rest} {closed}")
    assert (code, errors) == (0, "")


@pytest.mark.parametrize("closed", [">&-", "2>&-", ">&- 2>&-"])
def test_damage_is_told_by_the_exit_code_alone_where_the_streams_are_closed(journal, closed):
    flip(segments_of(journal)[0], 4096 + 33)
    assert shell(f"$nanobus verify {journal} {closed}")[0] == 1
    assert shell(f"$nanobus verify {journal}/missing {closed}")[0] == 2


def test_an_error_that_nobody_expected_has_an_exit_code_of_its_own(command, journal, monkeypatch):
    def fail(options):
        raise ValueError("a mistake")

    monkeypatch.setattr(verify, "run", fail)
    command("verify", journal)
    assert command.code == 70
    assert command.errors.startswith("Traceback")
    assert command.errors.endswith("ValueError: a mistake\n")


def test_nothing_that_a_message_says_ends_the_output(command, journal):
    rows = command.lines("cat", journal)
    assert (command.code, command.errors) == (0, "")
    assert [row["payload"]["text"] for row in rows] == SAID
    lines = command("cat", journal).splitlines()
    assert len(lines) == len(SAID)
    assert '"h\u00e9\u20ac \U0001f600"' in lines[1]
    assert '"half a pair: \\ud800"' in lines[2]


@pytest.mark.parametrize("encoding", ["ascii", "latin-1", "utf-8"])
def test_output_is_the_same_json_in_every_encoding(journal, encoding):
    code, printed, errors = shell(f"$nanobus cat {journal} --json", encoding, PYTHONIOENCODING=encoding)
    assert (code, errors) == (0, "")
    assert [json.loads(line)["payload"]["text"] for line in printed.splitlines()] == SAID


def test_an_export_holds_what_utf_8_cannot_encode_as_json_escapes(command, journal, tmp_path):
    command("export", journal, tmp_path / "out.jsonl")
    assert (command.code, command.errors) == (0, "")
    text = (tmp_path / "out.jsonl").read_text(encoding="utf-8")
    assert [json.loads(line)["payload"]["text"] for line in text.splitlines()] == SAID
    assert SAID[1] in text


def test_parquet_holds_what_utf_8_cannot_encode_as_json_escapes(command, journal, tmp_path):
    command("export", journal, tmp_path / "out.parquet")
    assert (command.code, command.errors) == (0, "")
    texts = pyarrow.parquet.read_table(tmp_path / "out.parquet").column("payload").to_pylist()
    assert [json.loads(text)["text"] for text in texts] == SAID


@pytest.mark.parametrize("stream", ["2>/dev/full", "2> >(true)"])
def test_errors_that_nobody_takes_keep_their_exit_codes(journal, stream):
    mistake = "import sys; from nanobus.cli import main, verify; verify.run = None; sys.exit(main.main(sys.argv[1:]))"
    assert shell(f"{sys.executable} -c '{mistake}' journal verify {journal} {stream}")[0] == 70
    assert shell(f"$nanobus verify {journal}/missing {stream}")[0] == 2
    assert shell(f"$nanobus dance {stream}")[0] == 2
    flip(segments_of(journal)[0], 4096 + 33)
    for name in ("verify", "cat", "tail", "export --force"):
        rest = journal.parent / "out.jsonl" if name.startswith("export") else ""
        assert shell(f"$nanobus {name} {journal} {rest} {stream}")[0] == 1


@pytest.mark.parametrize("name", ["info", "cat", "tail", "verify", "export", "trace"])
def test_an_output_that_has_no_room_has_an_exit_code_of_its_own(journal, name):
    rest = {"trace": "0", "export": "-"}.get(name, "")
    code, _, errors = shell(f"$nanobus {name} {journal} {rest} >/dev/full")
    assert code == 74
    assert errors.splitlines()[-1] == "nanobus: [Errno 28] No space left on device"


def test_an_error_that_nobody_reads_keeps_its_exit_code(journal):
    assert shell(f"$nanobus verify {journal}/missing 2>&1 | true; exit ${{PIPESTATUS[0]}}")[0] == 2
