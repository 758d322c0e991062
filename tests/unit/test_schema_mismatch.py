"""A class whose layout is another than the journal's: what differs is said field by field, for every codec."""

from __future__ import annotations

import ctypes
import dataclasses
from typing import Annotated, Any

import numpy as np
import pydantic
import pytest

from every_codec import ProtobufQuote, quote_class
from nanobus import Array, MessageError, Record, SchemaMismatchError, f64, message, u8, u16, u32, upcast
from nanobus.bus.codec import find_codec
from nanobus.codecs import codec_for
from nanobus.schema import Schema, compare, load, update
from nanobus.schema.comparison import differences
from nanobus.schema.layouts import layout_of

msgspec = pytest.importorskip("msgspec")


def quote() -> Any:
    class Quote(Record):
        symbol: Annotated[bytes, 8]
        side: u8
        bid: f64
        lots: u16
        levels: Annotated[tuple[float, ...], Array(f64, 2)]

    return Quote


def newer_quote() -> Any:
    class Quote(Record):
        symbol: Annotated[bytes, 8]
        bid: f64
        lots: u32
        levels: Annotated[tuple[float, ...], Array(f64, 3)]
        ask: f64

    return Quote


def struct(*fields: Any, **config: Any) -> Any:
    return msgspec.defstruct("Struct", fields, **config)


def changes(old: Any, new: Any) -> list[str]:
    return differences(layout_of(codec_for(old, 7)), layout_of(codec_for(new, 7)))


def structure(*fields: Any) -> Any:
    return type("Structure", (ctypes.Structure,), {"_fields_": fields})


def test_record_that_changed_is_refused_with_every_difference(tmp_path: Any) -> None:
    old, new = codec_for(quote(), 7), codec_for(newer_quote(), 7)
    update(tmp_path, lambda schema: schema.merge([old], {}, 64))
    with pytest.raises(SchemaMismatchError) as caught:
        update(tmp_path, lambda schema: schema.merge([new], {1: "Feed"}, 4096))
    assert str(caught.value).splitlines() == [
        f"message 7 is {old.message_type.__qualname__} (record, {old.fingerprint}) in the journal from position 64 on, "
        f"and {new.message_type.__qualname__} (record, {new.fingerprint}) here:",
        "    size     48 -> 56 bytes",
        "    removed  side: u8",
        "    added    ask: f64",
        "    changed  lots: u16 -> u32",
        "    changed  levels: f64[2] -> f64[3]",
        "    moved    bid: from offset 16 to 8",
        "    moved    lots: from offset 24 to 16",
        "    moved    levels: from offset 32 to 24",
        f'A function with @upcast({new.message_type.__qualname__}, from_fingerprint="{old.fingerprint}") '
        "can make one from the other.",
    ]
    assert load(tmp_path) == Schema().merge([old], {}, 64)


def test_default_that_was_left_out_and_changed_is_told() -> None:
    old = struct(("limit", float, 5.0), omit_defaults=True)
    new = struct(("limit", float, 7.0), omit_defaults=True)
    assert changes(old, new) == ["changed  limit: float=5.0 -> float=7.0"]


def test_same_layout_is_no_mismatch() -> None:
    codec = codec_for(quote(), 7)
    entry = Schema().merge([codec], {}, 0).newest(7)
    assert entry is not None
    assert compare(entry, codec)
    assert compare(entry, codec_for(quote(), 7))


@pytest.mark.parametrize(
    ("old", "new", "expected"),
    [
        (struct(("x", int)), struct(("x", int), ("y", str)), ["added    y: str"]),
        (struct(("x", int), ("y", str)), struct(("y", str)), ["removed  x: int"]),
        (struct(("x", int)), struct(("x", int | None)), ["changed  x: int -> None|int"]),
        (
            struct(("x", int), ("y", str)),
            struct(("y", str), ("x", int)),
            ["moved    y: from field 2 to 1", "moved    x: from field 1 to 2"],
        ),
        (
            struct(("inner", struct(("x", int)))),
            struct(("inner", struct(("x", float)))),
            ["changed  inner: map{x:int} -> map{x:float}"],
        ),
        (struct(("x", int)), struct(("x", int), array_like=True), ["shape    map -> array"]),
        (struct(("x", int)), struct(("x", int), tag="t"), ["shape    map -> map(type='t')"]),
        (
            dataclasses.make_dataclass("Data", [("x", int)]),
            dataclasses.make_dataclass("Data", [("z", int)]),
            ["removed  x: int", "added    z: int"],
        ),
        (
            pydantic.create_model("Model", x=(int, ...)),
            pydantic.create_model("Model", x=(str, ...)),
            ["changed  x: int -> str"],
        ),
        (
            pydantic.create_model("Model", x=(int, ...)),
            struct(("x", int)),
            ["kind     json -> msgpack"],
        ),
        (
            structure(("x", ctypes.c_uint8, 3), ("y", ctypes.c_int32)),
            structure(("x", ctypes.c_uint8, 4), ("y", ctypes.c_uint32.__ctype_be__)),
            ["changed  x: u8 bits 0..2 -> u8 bits 0..3", "changed  y: i32 -> >u32"],
        ),
        (
            structure(("p", structure(("x", ctypes.c_int8)))),
            structure(("p", structure(("y", ctypes.c_int8)))),
            ["changed  p: {x: i8 at 0; 1 bytes} -> {y: i8 at 0; 1 bytes}"],
        ),
        (
            ProtobufQuote,
            quote_class(more=True),
            ["added    Level.size: optional uint32 = 2"],
        ),
        (struct(("x", int)), bytes, ["kind     msgpack -> bytes", "removed  x: int"]),
    ],
)
def test_differences_of_two_layouts_read_like_this(old: Any, new: Any, expected: list[str]) -> None:
    assert changes(old, new) == expected
    assert changes(old, old) == ["no field differs: what the fingerprints tell apart is not described"]


def test_differences_of_two_dtypes_read_like_this() -> None:
    class Ticks(np.ndarray):
        pass

    def dtypes(*dtypes: Any) -> list[str]:
        old, new = (layout_of(codec_for(Ticks, 7, np.dtype(dtype))) for dtype in dtypes)
        return differences(old, new)

    assert dtypes("f8", ">f4") == ["changed  items: f64 -> >f32"]
    assert dtypes("M8[ns]", "M8[us]") == ["changed  items: datetime64[ns] -> datetime64[us]"]
    assert dtypes([("x", "i4"), ("y", "f8")], [("y", "f8")]) == ["removed  x: i32", "moved    y: from offset 4 to 0"]
    assert dtypes("f8", [("y", "f8")]) == ["removed  items: f64", "added    y: f64"]


def test_two_classes_of_one_id_contradict_each_other() -> None:
    with pytest.raises(SchemaMismatchError, match=r"changed  x: int -> str"):
        Schema().merge([codec_for(struct(("x", int)), 7), codec_for(struct(("x", str)), 7)], {}, 0)


# --------------------------------------------------------------------------------------------------- @upcast


@message(id=2100)
class Upcasted(msgspec.Struct):
    x: int


def test_layout_with_an_upcast_is_added_from_the_head_on() -> None:
    old = codec_for(struct(("y", int)), 2100)
    new = find_codec(Upcasted)

    @upcast(Upcasted, from_fingerprint=old.fingerprint)
    def from_y(old: Any) -> Upcasted:
        return Upcasted(old.y)

    schema = Schema().merge([old], {}, 32)
    merged = schema.merge([new], {}, 4096)
    assert [(entry.since, entry.fingerprint) for entry in merged.messages] == [
        (32, old.fingerprint), (4096, new.fingerprint),
    ]  # fmt: skip
    assert merged.merge([new], {}, 8192) is merged
    with pytest.raises(SchemaMismatchError, match="removed  x: int"):
        merged.merge([old], {}, 8192)


def test_second_upcast_from_one_layout_is_refused() -> None:
    @upcast(Upcasted, from_fingerprint="one")
    def first(old: Any) -> Upcasted:
        return Upcasted(1)

    upcast(Upcasted, from_fingerprint="one")(first)  # the same again is no other
    with pytest.raises(MessageError, match="Upcasted has an upcast from 'one' already"):

        @upcast(Upcasted, from_fingerprint="one")
        def second(old: Any) -> Upcasted:
            return Upcasted(2)


def test_upcast_to_a_class_that_is_no_message_is_refused() -> None:
    with pytest.raises(MessageError, match="is not a message"):
        upcast(int, from_fingerprint="one")


def test_upcast_from_the_layout_of_today_is_refused() -> None:
    with pytest.raises(ValueError, match="must be that of an old layout, '[0-9a-f]{16}' is Upcasted as it is"):
        upcast(Upcasted, from_fingerprint=find_codec(Upcasted).fingerprint)


def test_upcast_takes_a_text_and_a_function() -> None:
    with pytest.raises(TypeError, match="from_fingerprint must be a text, got 3"):
        upcast(Upcasted, from_fingerprint=3)  # type: ignore[arg-type]
    with pytest.raises(TypeError, match="@upcast marks functions, got 3"):
        upcast(Upcasted, from_fingerprint="two")(3)  # type: ignore[arg-type]
