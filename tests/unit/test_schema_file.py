"""schema.json: what is written is read again, at once and by one process at a time; what is broken is refused."""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from every_codec import Blob, Numbers, Shape, Ticks
from nanobus import NanobusError, SchemaError
from nanobus.bus.codec import Codec, find_codec
from nanobus.codecs import codec_for
from nanobus.schema import MessageEntry, Schema, SourceEntry, load, save, update

CODECS = [find_codec(cls) for cls in (Blob, Numbers, Shape, Ticks)]

# Adds many messages and sources, one at a time, while another process does the same.
ADD_MANY = """
import sys
from nanobus.codecs import codec_for
from nanobus.schema import update
folder, first = sys.argv[1], int(sys.argv[2])
print("ready", flush=True)
sys.stdin.readline()
for number in range(first, first + 40):
    codec = codec_for(type(f"Blob{number}", (bytes,), {}), number)
    add = lambda schema: schema.merge([codec], {number: f"Feed{number}"}, number)
    assert any(entry.id == number for entry in update(folder, add).messages)
"""

# Dies while it holds the lock, with half a file written.
DIE_HALF_WAY = """
import os, sys
from nanobus.schema import file
with file.opened(sys.argv[1]) as folder, file.locked(folder):
    open(os.path.join(sys.argv[1], file.NEW_NAME), "w").write('{"format": 1, "nano')
    print("locked", flush=True)
    os.kill(os.getpid(), 9)
"""


def merging(codecs: list[Codec], sources: dict[int, str], position: int) -> Callable[[Schema], Schema]:
    return lambda schema: schema.merge(codecs, sources, position)


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    update(tmp_path, merging(CODECS, {1: "Feed", 7: "Strategy"}, 64))
    return tmp_path


def test_what_was_saved_is_loaded(folder: Path) -> None:
    schema = Schema().merge(CODECS, {1: "Feed", 7: "Strategy"}, 64)
    assert load(folder) == schema
    save(folder, schema.merge([], {2: "Risk"}, 96))
    assert [source.name for source in load(folder).sources] == ["Feed", "Risk", "Strategy"]


def test_folder_without_a_schema_has_an_empty_one(tmp_path: Path) -> None:
    assert load(tmp_path) == Schema()
    assert update(tmp_path, merging([], {}, 0)) == Schema()
    assert list(tmp_path.iterdir()) == []
    with pytest.raises(FileNotFoundError):
        load(tmp_path / "nowhere")


def test_file_says_format_and_version(folder: Path) -> None:
    content = json.loads((folder / "schema.json").read_text())
    assert (content["format"], content["nanobus"]) == (1, version("nanobus"))
    assert [entry["name"] for entry in content["messages"]] == ["Numbers", "Shape", "Ticks", "Blob"]


def test_file_is_for_its_owner_only_whatever_the_umask(tmp_path: Path) -> None:
    for mask in (0, 0o777):
        before = os.umask(mask)
        try:
            save(tmp_path, Schema())
        finally:
            os.umask(before)
        assert stat.S_IMODE((tmp_path / "schema.json").stat().st_mode) == 0o600
    assert [path.name for path in tmp_path.iterdir()] == ["schema.json"]


def test_nothing_new_writes_nothing(folder: Path) -> None:
    before = (folder / "schema.json").stat()
    assert update(folder, merging(CODECS, {1: "Feed"}, 4096)) == load(folder)
    after = (folder / "schema.json").stat()
    assert (before.st_ino, before.st_mtime_ns) == (after.st_ino, after.st_mtime_ns)


def test_merge_returns_the_very_schema_where_nothing_is_new() -> None:
    schema = Schema().merge(CODECS, {1: "Feed"}, 0)
    assert schema.merge(CODECS, {1: "Feed"}, 32) is schema
    assert schema.merge(reversed(CODECS), {}, 32) is schema


def test_class_of_another_name_with_the_same_layout_is_an_entry_of_its_own() -> None:
    other = type("Renamed", (bytes,), {})
    schema = Schema().merge([find_codec(Blob)], {}, 32).merge([codec_for(other, 2011)], {}, 96)
    assert [(entry.name, entry.since) for entry in schema.messages] == [("Blob", 32), ("Renamed", 96)]
    at = {position: schema.entry_at(2011, position) for position in (0, 32, 64, 96, 128)}
    assert {position: entry and entry.name for position, entry in at.items()} == {
        0: None, 32: "Blob", 64: "Blob", 96: "Renamed", 128: "Renamed",
    }  # fmt: skip


def test_newest_of_two_entries_at_one_position_is_in_force() -> None:
    other = type("Renamed", (bytes,), {})
    schema = Schema().merge([find_codec(Blob)], {}, 64).merge([codec_for(other, 2011)], {}, 32)
    assert [(entry.name, entry.since) for entry in schema.messages] == [("Blob", 64), ("Renamed", 64)]
    for found in (schema.newest(2011), schema.entry_at(2011, 64)):
        assert found is not None
        assert found.name == "Renamed"


def test_cut_forgets_what_begins_behind_the_end_and_nothing_else() -> None:
    other = type("Renamed", (bytes,), {})
    schema = Schema().merge([find_codec(Blob)], {1: "Feed"}, 64).merge([codec_for(other, 2011)], {}, 256)
    assert schema.cut(256) is schema
    cut = schema.cut(128)
    assert [(entry.name, entry.since) for entry in cut.messages] == [("Blob", 64)]
    assert cut.sources == schema.sources
    again = cut.merge([codec_for(other, 2011)], {}, 128)
    assert [(entry.name, entry.since) for entry in again.messages] == [("Blob", 64), ("Renamed", 128)]
    assert schema.cut(32).messages == ()


def test_change_that_raises_leaves_the_old_schema(folder: Path) -> None:
    def refuse(schema: Schema) -> Schema:
        raise ValueError("not this one")

    before = load(folder)
    with pytest.raises(ValueError, match="not this one"):
        update(folder, refuse)
    assert load(folder) == before
    assert update(folder, merging([], {9: "New"}, 64)).sources[-1] == SourceEntry(9, "New")


def test_new_name_of_a_source_takes_the_place_of_the_old() -> None:
    schema = Schema().merge([], {1: "Feed", 2: "Risk"}, 0).merge([], {1: "Source"}, 0)
    assert schema.sources == (SourceEntry(1, "Source"), SourceEntry(2, "Risk"))


def test_schema_is_immutable(folder: Path) -> None:
    schema = load(folder)
    with pytest.raises(AttributeError):
        schema.messages = ()  # type: ignore[misc]
    with pytest.raises(AttributeError):
        schema.messages[0].since = 3  # type: ignore[misc]
    assert hash(schema) == hash(load(folder))


# ------------------------------------------------------------------------------------------ several processes


def test_two_processes_that_update_at_once_lose_no_entry(tmp_path: Path) -> None:
    writers = [
        subprocess.Popen(
            [sys.executable, "-c", ADD_MANY, str(tmp_path), first],
            stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True,
        )
        for first in ("0", "1000")
    ]
    for writer in writers:
        assert writer.stdout is not None
        assert writer.stdout.readline() == "ready\n"
    for writer in writers:
        assert writer.stdin is not None
        writer.stdin.write("go\n")
        writer.stdin.flush()
    reads = 0
    while any(writer.poll() is None for writer in writers):
        reads += len(load(tmp_path).messages) >= 0  # a reader sees a whole file at any moment
    for writer in writers:
        writer.communicate(timeout=60)
        assert writer.returncode == 0
    expected = [*range(40), *range(1000, 1040)]
    assert [entry.id for entry in load(tmp_path).messages] == expected
    assert [source.id for source in load(tmp_path).sources] == expected
    assert reads
    assert [path.name for path in tmp_path.iterdir()] == ["schema.json"]


def test_process_that_died_half_way_leaves_the_old_schema_and_no_lock(folder: Path) -> None:
    before = load(folder)
    command = [sys.executable, "-c", DIE_HALF_WAY, str(folder)]
    died = subprocess.run(command, capture_output=True, timeout=60, check=False)
    assert (died.returncode, died.stdout) == (-9, b"locked\n")
    assert load(folder) == before
    assert update(folder, merging([], {9: "New"}, 0)).sources[-1] == SourceEntry(9, "New")
    assert [path.name for path in folder.iterdir()] == ["schema.json"]


def test_file_that_cannot_be_written_leaves_the_old_one(folder: Path, monkeypatch: Any) -> None:
    def refuse(descriptor: int) -> None:
        raise OSError(28, "No space left on device")

    before = (folder / "schema.json").read_bytes()
    monkeypatch.setattr(os, "fsync", refuse)
    with pytest.raises(OSError, match="No space left"):
        update(folder, merging([], {9: "New"}, 0))
    assert (folder / "schema.json").read_bytes() == before
    assert [path.name for path in folder.iterdir()] == ["schema.json"]


# --------------------------------------------------------------------------------------------- what is refused


def test_symlink_is_refused_even_if_it_leads_to_a_schema(folder: Path) -> None:
    (folder / "schema.json").rename(folder / "elsewhere.json")
    (folder / "schema.json").symlink_to("elsewhere.json")
    for refused in (load, lambda path: update(path, merging([], {9: "New"}, 0))):
        with pytest.raises(SchemaError, match=r"schema\.json must be a file, got a symlink"):
            refused(folder)


def test_symlink_in_place_of_the_new_file_is_not_followed(folder: Path) -> None:
    target = folder / "target"
    target.write_text("untouched")
    (folder / ".schema.json.new").symlink_to(target)
    update(folder, merging([], {9: "New"}, 0))
    assert target.read_text() == "untouched"
    assert not (folder / "schema.json").is_symlink()


@pytest.mark.parametrize("make", [os.mkdir, os.mkfifo])
def test_what_is_no_file_is_refused(tmp_path: Path, make: Any) -> None:
    make(tmp_path / "schema.json", 0o600)
    with pytest.raises(SchemaError, match=r"schema\.json must be a file, got (d|p)rw"):
        load(tmp_path)


@pytest.mark.parametrize("mode", [0o620, 0o602, 0o666])
def test_file_that_others_may_write_to_is_refused(folder: Path, mode: int) -> None:
    (folder / "schema.json").chmod(mode)
    with pytest.raises(SchemaError, match=r"schema\.json must be writable by its owner only, got -rw"):
        load(folder)


def test_file_that_is_too_large_to_be_a_schema_is_refused_unread(folder: Path) -> None:
    os.truncate(folder / "schema.json", 1 << 40)  # a hole, which costs no room
    with pytest.raises(SchemaError, match=r"schema\.json must have at most 268435456 bytes, got 1099511627776"):
        load(folder)


def test_file_of_any_shorter_length_is_refused(folder: Path) -> None:
    file = folder / "schema.json"
    whole = file.read_bytes()
    for size in range(len(whole.rstrip())):
        file.write_bytes(whole[:size])
        with pytest.raises(SchemaError, match=r"schema\.json must be JSON"):
            load(folder)


def test_flipped_byte_gives_a_schema_or_an_error_of_its_name(folder: Path) -> None:
    file = folder / "schema.json"
    whole = file.read_bytes()
    refused = 0
    for place in range(len(whole)):
        file.write_bytes(whole[:place] + bytes([whole[place] ^ 0x10]) + whole[place + 1 :])
        try:
            load(folder)
        except SchemaError as error:
            refused += str(file) in str(error)
            continue
    assert 0 < refused < len(whole)


@pytest.mark.parametrize("text", [b"", b"\xff", b"nothing", b"[" * 100_000, b"1" * 10_000, b'{"format": 1'])
def test_what_is_not_json_is_refused(tmp_path: Path, text: bytes) -> None:
    (tmp_path / "schema.json").write_bytes(text)
    (tmp_path / "schema.json").chmod(0o600)
    with pytest.raises(SchemaError, match=r"schema\.json must be JSON: "):
        load(tmp_path)


ENTRY = {"id": 7, "name": "Quote", "codec": "raw", "fingerprint": "f", "since": 0, "layout": {"kind": "bytes"}}
WHOLE = {"format": 1, "nanobus": "0.1.0", "messages": [ENTRY], "sources": [{"id": 1, "name": "Feed"}]}


def with_entry(**changes: Any) -> dict[str, Any]:
    return WHOLE | {"messages": [ENTRY | changes]}


def with_layout(**layout: Any) -> dict[str, Any]:
    return with_entry(layout=layout)


def struct(*fields: Any, size: Any = 8) -> dict[str, Any]:
    return with_layout(kind="struct", size=size, fields=list(fields))


def field(type_: Any, name: Any = "x", offset: Any = 0) -> dict[str, Any]:
    return {"name": name, "offset": offset, "type": type_}


def msgpack(*objects: Any) -> dict[str, Any]:
    return with_layout(kind="msgpack", shape="map", fields=[], objects=list(objects))


def thing(*fields: Any, **changes: Any) -> dict[str, Any]:
    return {"name": "Quote", "array": True, "tag": None, "fields": list(fields)} | changes


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([], "it must be an object of format, nanobus, messages, sources, got []"),
        ({}, "it must be an object of format, nanobus, messages, sources, got {}"),
        (WHOLE | {"format": 2}, "its format must be 1: another version wrote it, got 2"),
        (WHOLE | {"format": "1"}, "its format must be 1: another version wrote it, got '1'"),
        (WHOLE | {"format": True}, "format must be of type int, got True"),
        (WHOLE | {"nanobus": 1}, "nanobus must be of type str, got 1"),
        (WHOLE | {"more": 1}, "it must be an object of format, nanobus, messages, sources, got "),
        (WHOLE | {"messages": {}}, "messages must be of type list, got {}"),
        (WHOLE | {"messages": [3]}, "messages[0] must be an object of id, name, codec, "),
        (with_entry(id="7"), "messages[0].id must be of type int, got '7'"),
        (with_entry(id=True), "messages[0].id must be of type int, got True"),
        (with_entry(id=-1), "messages[0].id must be in 0..65535, got -1"),
        (with_entry(since=2**64), "messages[0].since must be in 0..18446744073709551615, got 18446744073709551616"),
        (with_entry(since=1.0), "messages[0].since must be of type int, got 1.0"),
        (with_entry(name=None), "messages[0].name must be of type str, got None"),
        (with_entry(layout="x"), "messages[0].layout must be of type dict, got 'x'"),
        (WHOLE | {"messages": [ENTRY, ENTRY | {"id": 6}]}, "messages must be in order of id and since, got '6 since"),
        (
            WHOLE | {"messages": [ENTRY | {"since": 5}, ENTRY]},
            "messages must be in order of id and since, got '7 since 0'",
        ),
        (WHOLE | {"sources": [{"id": 1}]}, "sources[0] must be an object of id, name, got {'id': 1}"),
        (WHOLE | {"sources": [{"id": 1, "name": 2}]}, "sources[0].name must be of type str, got 2"),
        (WHOLE | {"sources": [{"id": 70000, "name": "x"}]}, "sources[0].id must be in 0..65535, got 70000"),
        (WHOLE | {"sources": WHOLE["sources"] * 2}, "sources must be in order of id, each once, got 1"),  # type: ignore[operator]
        (with_layout(), "messages[0].layout: a layout must be of a known kind and have what belongs to it, got {}"),
        (with_layout(kind="other"), "a layout must be of a known kind"),
        (with_layout(kind="opaque"), "a layout must be of a known kind"),
        (struct(3), "a field must have a name, an offset and a type, got 3"),
        (struct(field("f64", offset=1)), "field 'x' must lie within 8 bytes, got 1..9"),
        (struct(field("f64", offset=-8)), "field 'x' must lie within 8 bytes, got -8..0"),
        (struct(field("u8"), field("u8")), "two fields are named 'x'"),
        (struct(field("f65")), "a type must be one of u8, u16"),
        (struct(field("bytes[x]")), "a type must be one of u8, u16"),
        (struct(field(3)), "a type must be a text or an object, got 3"),
        (struct(field({"items": "u8", "length": -1})), "a type must be an array, a bit field or a struct"),
        (struct(field({"bits": 3, "shift": 6, "of": "u8"})), "a bit field must lie within its u8, got 3 bits"),
        (struct(field({"bits": 3, "shift": 0, "of": "f64"})), "a bit field must be of an integer, got 'f64'"),
        (struct(field({"bits": 3, "shift": 0, "of": "utf32[1]"})), "a bit field must be of an integer, got 'utf32"),
        (struct(size="8"), "a layout must be of a known kind"),
        (with_layout(kind="array", items="bytes[0]"), "the items of an array must have a size"),
        (msgpack(), "there must be at least one object"),
        (msgpack(3), "an object must have a name, array, tag and fields, got 3"),
        (msgpack(thing(tag="x")), "the tag of 'Quote' must be null or [field, value], got 'x'"),
        (msgpack(thing(["x"])), "a field of 'Quote' must be [wire name, name, node], got ['x']"),
        (msgpack(thing(["x", "x", {"object": 1}])), "a node must be null, one of 1 objects"),
        (msgpack(thing(["x", "x", {"union": [5]}])), "a node must be null, one of 1 objects"),
        (msgpack(thing(["x", "y", None], ["z", "y", None])), "two fields are named 'y'"),
        (with_layout(kind="json", shape="map", fields=[{"name": "x"}]), "a field must have a name and a type, got"),
        (
            with_layout(kind="protobuf", fields=[], message="Quote", files="?"),
            "the files of Quote must be base64: ",
        ),
    ],
)
def test_what_is_no_schema_is_refused_with_file_rule_and_value(tmp_path: Path, content: Any, text: str) -> None:
    file = tmp_path / "schema.json"
    file.write_text(json.dumps(content))
    file.chmod(0o600)
    with pytest.raises(SchemaError) as caught:
        load(tmp_path)
    assert str(file) in str(caught.value)
    assert text in str(caught.value)
    assert isinstance(caught.value, NanobusError)


def test_schema_that_is_broken_is_not_written_over(tmp_path: Path) -> None:
    (tmp_path / "schema.json").write_text("{}")
    (tmp_path / "schema.json").chmod(0o600)
    with pytest.raises(SchemaError):
        update(tmp_path, merging(CODECS, {}, 0))
    assert (tmp_path / "schema.json").read_text() == "{}"


def test_schema_that_could_not_be_read_again_is_not_written(folder: Path) -> None:
    before = (folder / "schema.json").read_bytes()
    with pytest.raises(SchemaError, match=r"messages\[0\]\.layout: a layout must be of a known kind"):
        save(folder, Schema((MessageEntry(7, "Quote", "raw", "f", 0, {}),)))
    assert (folder / "schema.json").read_bytes() == before
