"""What is seen of a message without its class: every codec, every kind of field, and whatever cannot be decoded."""

from __future__ import annotations

import ctypes
import dataclasses
import json
import subprocess
import sys
from base64 import b64decode, b64encode
from pathlib import Path
from typing import Annotated, Any, Generic, TypeVar

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from every_codec import SAMPLES, Anything, Basket, Blob, Network, Numbers, Price, ProtobufQuote, Settings, Shape, Ticks
from nanobus import message
from nanobus.bus.codec import find_codec
from nanobus.codecs import NAMED, codec_for
from nanobus.codecs.numpy import NAME as NUMPY
from nanobus.schema import Decoder, Schema, save

msgspec = pytest.importorskip("msgspec")

ALL = [type(sent) for sent, _ in SAMPLES] + [Anything, Price]
CODECS = [find_codec(cls) for cls in dict.fromkeys(ALL)]
SCHEMA = Schema().merge(CODECS, {3: "Feed"}, 0)
DECODER = Decoder(SCHEMA)

# Loads a schema and decodes payloads, in a process that has none of the classes and none of their libraries loaded.
DECODE = """
import json, sys
from base64 import b64decode
from nanobus.schema import Decoder, load
decoder = Decoder(load(sys.argv[1]))
print(json.dumps([
    [decoder.message_name(id, 5), decoder.decode(id, b64decode(payload), 5)] for id, payload in json.load(sys.stdin)
], allow_nan=False))
assert not {"every_codec", "numpy", "pydantic", "attr"} & set(sys.modules)
"""


def seen(cls: Any, payload: bytes) -> Any:
    """What a decoder shows of a payload of this class."""
    codec = find_codec(cls)
    return Decoder(Schema().merge([codec], {}, 0)).decode(codec.message_id, payload, 0)


def there_and_seen(sent: Any) -> Any:
    return seen(type(sent), find_codec(type(sent)).encode_message(sent))


def test_samples_are_of_every_codec() -> None:
    assert {codec.name for codec in CODECS} == {"record", "price", NUMPY, *NAMED}


def test_every_codec_is_decoded_in_a_process_without_the_classes(tmp_path: Path) -> None:
    save(tmp_path, SCHEMA)
    codecs = [find_codec(type(sent)) for sent, _ in SAMPLES]
    payloads = [codec.encode_message(sent) for codec, (sent, _) in zip(codecs, SAMPLES, strict=True)]
    finished = subprocess.run(
        [sys.executable, "-c", DECODE, str(tmp_path)],
        input=json.dumps([
            (codec.message_id, b64encode(payload).decode()) for codec, payload in zip(codecs, payloads, strict=True)
        ]),
        capture_output=True, text=True, timeout=120, check=False,
    )  # fmt: skip
    assert finished.returncode == 0, finished.stderr
    for (sent, expected), (name, shown) in zip(SAMPLES, json.loads(finished.stdout), strict=True):
        assert name == type(sent).__qualname__
        assert shown == expected


@pytest.mark.parametrize("cls", [Anything, Price])
def test_codec_that_only_the_application_has_is_shown_as_bytes_with_the_reason(cls: Any) -> None:
    payload = find_codec(cls).encode_message(cls(1.5))
    shown = seen(cls, payload)
    assert b64decode(shown["base64"]) == payload
    assert shown["reason"] in (
        "a pickle is not decoded: to unpickle is to run code",
        "the codec 'price' is the application's own",
    )


def test_pickle_is_never_loaded() -> None:
    class Bomb:
        def __reduce__(self) -> tuple[Any, ...]:
            return pytest.fail, ("unpickled",)

    import pickle

    assert "to unpickle is to run code" in seen(Anything, pickle.dumps(Bomb()))["reason"]


@pytest.mark.parametrize("codec", CODECS, ids=repr)
@settings(deadline=None)
@given(payload=st.binary(max_size=200))
def test_no_payload_makes_a_decoder_raise(codec: Any, payload: bytes) -> None:
    shown = DECODER.decode(codec.message_id, payload, 0)
    json.dumps(shown, allow_nan=False)


@pytest.mark.parametrize("sent", [sent for sent, _ in SAMPLES if not isinstance(sent, Blob)], ids=type)
def test_payload_that_was_cut_is_shown_as_bytes_with_the_reason(sent: Any) -> None:
    payload = find_codec(type(sent)).encode_message(sent)[:-1]
    shown = seen(type(sent), payload)
    assert b64decode(shown["base64"]) == payload
    assert shown["reason"].startswith(f"{find_codec(type(sent)).name} layout of {type(sent).__qualname__}: ")


def test_unknown_ids_and_positions_before_the_first_entry_are_shown_as_bytes() -> None:
    decoder = Decoder(Schema().merge([find_codec(Blob)], {}, 64))
    assert decoder.decode(7, b"x", 64) == {
        "base64": "eA==", "reason": "the schema does not know message 7 at position 64",
    }  # fmt: skip
    assert "does not know message 2011 at position 32" in decoder.decode(2011, b"x", 32)["reason"]
    assert decoder.decode(2011, b"x", 64) == "x"


def test_names_of_messages_and_sources() -> None:
    assert DECODER.message_name(2001, 0) == "Numbers"
    assert DECODER.message_name(7, 0) is None
    assert DECODER.source_name(3) == "Feed"
    assert DECODER.source_name(4) is None


@pytest.mark.parametrize(("library", "cls"), [("msgspec", Basket), ("google.protobuf", ProtobufQuote)])
def test_library_that_is_not_installed_is_the_reason(monkeypatch: Any, library: str, cls: Any) -> None:
    decoder = Decoder(SCHEMA)
    monkeypatch.setitem(sys.modules, library, None)
    reason = decoder.decode(find_codec(cls).message_id, b"", 0)["reason"]
    assert reason.endswith(f": {library.removeprefix('google.')} is not installed")


@pytest.mark.parametrize("cls", [Numbers, Shape, Network, Ticks, Settings, Blob])
def test_only_msgspec_and_protobuf_payloads_need_a_library(monkeypatch: Any, cls: Any) -> None:
    sent, expected = next((sent, expected) for sent, expected in SAMPLES if type(sent) is cls)
    payload = find_codec(cls).encode_message(sent)
    decoder = Decoder(SCHEMA)
    for library in ("msgspec", "google.protobuf", "numpy", "pydantic", "ctypes"):
        monkeypatch.setitem(sys.modules, library, None)
    assert decoder.decode(find_codec(cls).message_id, payload, 0) == expected


@settings(deadline=None)
@given(low=st.integers(0, 7), high=st.integers(-8, 7), word=st.integers(-(2**19), 2**19 - 1), top=st.integers(0, 7))
def test_bit_fields_are_those_of_ctypes(low: int, high: int, word: int, top: int) -> None:
    shown = there_and_seen(Shape(low=low, high=high, word=word))
    assert (shown["low"], shown["high"], shown["word"]) == (low, high, word)
    assert there_and_seen(Network(1, 1.0, top))["top"] == top


@pytest.mark.parametrize("flags", [(True, False, True), (False, True, False)])
def test_flags_of_one_bit_and_single_characters_are_those_of_ctypes(flags: tuple[bool, bool, bool]) -> None:
    class Flags(ctypes.Structure):
        _fields_ = (*((name, ctypes.c_bool, 1) for name in "abc"), ("letter", ctypes.c_wchar))

    codec, sent = codec_for(Flags, 1), Flags(*flags, "\u20ac")
    shown = Decoder(Schema().merge([codec], {}, 0)).decode(1, codec.encode_message(sent), 0)
    assert shown == {name: getattr(sent, name) for name in ("a", "b", "c", "letter")}


def test_structure_that_hides_a_field_of_its_base_shows_its_own() -> None:
    class Base(ctypes.Structure):
        _fields_ = (("x", ctypes.c_int32),)

    class Hiding(Base):
        _fields_ = (("x", ctypes.c_int16),)

    message(Hiding, id=2050)
    sent = Hiding()
    sent.x = 7
    assert there_and_seen(sent) == {"x": 7}


@pytest.mark.parametrize("code", "?bBhHiIlLqQefdSUcMm")
@pytest.mark.parametrize("order", "<>")
def test_every_simple_dtype_is_shown_as_numpy_reads_it(code: str, order: str) -> None:
    dtype = np.dtype(order + code + {"S": "2", "U": "3", "M": "8[s]", "m": "8[s]"}.get(code, ""))

    class Column(np.ndarray):
        pass

    codec = codec_for(Column, 1, dtype)
    column = np.array([1, 0, 1], "u1").astype(dtype)
    shown = Decoder(Schema().merge([codec], {}, 0)).decode(1, codec.encode_message(column.view(Column)), 0)
    expected = column.astype("i8").tolist() if code in "mM" else column.tolist()
    assert shown == [item.decode() if isinstance(item, bytes) else item for item in expected]


def test_number_wider_than_python_has_is_shown_as_bytes() -> None:
    class Column(np.ndarray):
        pass

    codec = codec_for(Column, 1, np.dtype("g"))
    shown = Decoder(Schema().merge([codec], {}, 0)).decode(1, codec.encode_message(np.zeros(1, "g").view(Column)), 0)
    assert [b64decode(item["base64"]) for item in shown] == [bytes(np.dtype("g").itemsize)]


def test_msgpack_that_fits_no_object_is_shown_as_it_is() -> None:
    for value in ([1, 2], 5, None, {}, {"either": {"a": [1]}}):
        assert seen(Basket, msgspec.msgpack.encode(value)) == value
    assert seen(Basket, msgspec.msgpack.encode({"legsOfAll": 3, "other": [b"\xff"]})) == {
        "legs_of_all": 3, "other": [{"base64": "/w=="}],
    }  # fmt: skip


def test_defaults_that_were_left_out_are_left_out() -> None:
    class Sparse(msgspec.Struct, omit_defaults=True, array_like=True):
        x: int
        y: int = 2

    message(Sparse, id=2051)
    assert seen(Sparse, msgspec.msgpack.encode([1])) == {"x": 1}
    assert there_and_seen(Sparse(1, 3)) == {"x": 1, "y": 3}


T = TypeVar("T")


class Box(msgspec.Struct, Generic[T], array_like=True, frozen=True):
    item: T


class IntBox(Box[int], frozen=True):
    pass


@dataclasses.dataclass
class Nested:
    box: Box[Box[int]]
    plain: IntBox
    described: Annotated[IntBox, msgspec.Meta(description="why not")]
    several: frozenset[tuple[IntBox, ...]] | None
    maps: list[dict[str, IntBox]]
    anything: Any


def test_arrays_are_named_however_they_are_declared() -> None:
    codec = codec_for(Nested, 1)
    one = {"item": 1}
    payload = msgspec.msgpack.encode(
        {"box": [[1]], "plain": [1], "described": [1], "several": [[[1], [1]]], "maps": [{"a": [1]}], "anything": [1]}
    )
    assert codec.decode_payload(payload).plain == IntBox(1)
    assert Decoder(Schema().merge([codec], {}, 0)).decode(1, payload, 0) == {
        "box": {"item": one}, "plain": one, "described": one, "several": [[one, one]], "maps": [{"a": one}],
        "anything": [1],
    }  # fmt: skip


def test_extension_types_and_odd_keys_of_msgpack_are_shown() -> None:
    class Open(msgspec.Struct):
        anything: Any

    message(Open, id=2052)
    payload = msgspec.msgpack.encode({"anything": {1: msgspec.msgpack.Ext(5, b"a"), None: 1.0, b"k": True, 2.5: []}})
    assert seen(Open, payload) == {
        "anything": {"1": {"extension": 5, "data": "a"}, "None": 1.0, "k": True, "2.5": []},
    }  # fmt: skip
