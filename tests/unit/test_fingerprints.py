"""Fingerprints: the same in every process and Python version, another one as soon as the layout is another."""

from __future__ import annotations

import ctypes
import dataclasses
import enum
import json
import os
import subprocess
import sys
from pathlib import Path
from types import GenericAlias
from typing import Annotated, Any, Generic, Literal, NamedTuple, NewType, Optional, TypedDict, TypeVar, Union

import attrs
import numpy as np
import pydantic
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from nanobus.codecs import codec_for
from nanobus.codecs.fingerprint import fingerprint_of, layout_of

msgspec = pytest.importorskip("msgspec")

DECLARATIONS = '''
"""One message of every codec."""
import ctypes, dataclasses, datetime, enum, json, pathlib, typing
import attrs, msgspec, numpy as np, pydantic
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from nanobus.codecs import codec_for


class Side(enum.Enum):
    BUY = "b"
    SELL = "s"


class Leg(msgspec.Struct, tag="leg", array_like=True):
    side: Side
    parent: "Quote | None"


class Quote(msgspec.Struct):
    when: datetime.datetime
    legs: list[Leg]
    either: typing.Union[str, int, None]
    names: set[str]
    kind: typing.Literal["b", "a"]


@dataclasses.dataclass
class Order:
    symbol: str
    limits: dict[str, tuple[float, ...]]


@attrs.define
class Trade:
    order: Order


class Settings(pydantic.BaseModel):
    name: str
    path: pathlib.Path
    side: typing.Annotated[Side, "why not"] = Side.BUY


class Point(ctypes.Structure):
    _fields_ = [("x", ctypes.c_int32), ("y", ctypes.c_double * 2), ("b", ctypes.c_uint8, 3)]


class Ticks(np.ndarray):
    pass


class Pickled:
    pass


file = descriptor_pb2.FileDescriptorProto(name="p.proto", package="p", syntax="proto3")
colour = file.enum_type.add(name="Colour")
colour.value.add(name="RED", number=0)
inner = file.message_type.add(name="Inner")
inner.field.add(name="outer", number=1, type=11, label=3, type_name=".p.Outer")
outer = file.message_type.add(name="Outer")
outer.field.add(name="inner", number=2, type=11, label=1, type_name=".p.Inner")
outer.field.add(name="colour", number=3, type=14, label=1, type_name=".p.Colour")
pool = descriptor_pool.DescriptorPool()
pool.Add(file)
Outer = message_factory.GetMessageClass(pool.FindMessageTypeByName("p.Outer"))

FINGERPRINTS = {
    cls.__name__: codec_for(cls, 1, codec).fingerprint
    for cls, codec in [
        (Quote, None), (Order, None), (Trade, None), (Settings, None), (Point, None), (bytes, None), (Outer, None),
        (Ticks, np.dtype([("t", "M8[ns]"), ("p", ">f8", (2,))], align=True)), (Pickled, "pickle"),
    ]
}
if __name__ == "__main__":
    print(json.dumps(FINGERPRINTS))
'''


def fingerprints_in_a_process(folder: Path, *arguments: str, **environment: str) -> dict[str, str]:
    finished = subprocess.run(
        [sys.executable, *arguments],
        cwd=folder,
        env={**os.environ, **environment},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert finished.returncode == 0, finished.stderr
    found: dict[str, str] = json.loads(finished.stdout)
    return found


def test_fingerprints_are_the_same_in_every_process(tmp_path: Path) -> None:
    (tmp_path / "declared.py").write_text(DECLARATIONS)
    first = fingerprints_in_a_process(tmp_path, "declared.py", PYTHONHASHSEED="1")
    second = fingerprints_in_a_process(tmp_path, "declared.py", PYTHONHASHSEED="2")
    imported = fingerprints_in_a_process(
        tmp_path, "-c", "import declared, json; print(json.dumps(declared.FINGERPRINTS))", PYTHONHASHSEED="3"
    )
    pure_python = fingerprints_in_a_process(
        tmp_path, "-W", "ignore", "declared.py", PROTOCOL_BUFFERS_PYTHON_IMPLEMENTATION="python"
    )
    assert first == second == imported == pure_python
    assert len(set(first.values())) == len(first)
    assert all(len(fingerprint) == 16 and int(fingerprint, 16) >= 0 for fingerprint in first.values())


def test_fingerprints_are_the_same_in_every_python_version(tmp_path: Path) -> None:
    # Written down once. Whoever changes them makes the journals of old unreadable, and should mean to.
    (tmp_path / "declared.py").write_text(DECLARATIONS)
    assert fingerprints_in_a_process(tmp_path, "declared.py") == {
        "Quote": "5d2c0b419f2e5d3b",
        "Order": "a14c8e843ecde45c",
        "Trade": "38a2704288e305c1",
        "Settings": "a8c1a7d9575d93f7",
        "Point": "f04de621e7de33fa",
        "bytes": "d7439bee24773bcb",
        "Outer": "06ade10235c5c1f7",
        "Ticks": "449a807fd70b7ee8",
        "Pickled": "67870d1bc6d1d51a",
    }


def test_fingerprint_is_sixteen_hexadecimal_digits_of_sha256() -> None:
    assert fingerprint_of("") == "e3b0c44298fc1c14"
    assert fingerprint_of("a", "b") != fingerprint_of("ab")


def struct(*fields: Any, **config: Any) -> type:
    return msgspec.defstruct("Struct", fields, **config)


def dataclass(*fields: Any) -> type:
    return dataclasses.make_dataclass("Data", fields)


def attrs_class(*fields: Any) -> type:
    return attrs.define(type("Attrs", (), {"__annotations__": dict(fields)}))


def model(*fields: Any) -> type:
    definitions: Any = {name: (kind, ...) for name, kind in fields}
    made: type = pydantic.create_model("Model", **definitions)
    return made


CTYPES = {int: ctypes.c_int64, str: ctypes.c_char * 8, float: ctypes.c_double}


def structure(*fields: Any) -> type:
    return type("Structure", (ctypes.Structure,), {"_fields_": [(name, CTYPES[kind]) for name, kind in fields]})


def protobuf(*fields: Any) -> type:
    file = descriptor_pb2.FileDescriptorProto(name="p.proto", package="p", syntax="proto3")
    descriptor = file.message_type.add(name="P")
    for number, (name, kind) in enumerate(fields, start=1):
        descriptor.field.add(name=name, number=number, type={int: 3, str: 9, float: 1}[kind], label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made: type = message_factory.GetMessageClass(pool.FindMessageTypeByName("p.P"))
    return made


def fingerprint(cls: type, codec: Any = None) -> str:
    return codec_for(cls, 1, codec).fingerprint


@pytest.mark.parametrize("make", [struct, dataclass, attrs_class, model, structure, protobuf])
def test_fingerprint_tells_names_types_and_order_apart(make: Any) -> None:
    layouts: list[list[tuple[str, type]]] = [
        [("x", int), ("y", str)],
        [("x", int), ("z", str)],
        [("x", int), ("y", float)],
        [("y", str), ("x", int)],
        [("x", int)],
        [("x", int), ("y", str), ("z", int)],
    ]
    assert len({fingerprint(make(*layout)) for layout in layouts}) == len(layouts)
    assert fingerprint(make(*layouts[0])) == fingerprint(make(*layouts[0]))


def test_fingerprint_tells_dtypes_apart() -> None:
    class Ticks(np.ndarray):
        pass

    dtypes = [
        np.dtype("<f8"),
        np.dtype(">f8"),
        np.dtype("M8[ns]"),
        np.dtype("M8[us]"),
        np.dtype([("x", "i4"), ("y", "f8")]),
        np.dtype([("x", "i4"), ("y", "f8")], align=True),
        np.dtype([("y", "f8"), ("x", "i4")]),
        np.dtype([("x", "i4"), ("z", "f8")]),
        np.dtype([("x", "i4"), ("y", "f8", (1,))]),
        np.dtype([("x", "i4"), ("y", [("z", "f8")])]),
    ]
    assert len({fingerprint(Ticks, dtype) for dtype in dtypes}) == len(dtypes)
    titled = np.dtype([(("the title", "x"), "i4"), ("y", "f8")])
    assert fingerprint(Ticks, titled) == fingerprint(Ticks, dtypes[4])


def test_fingerprint_tells_ctypes_layouts_apart() -> None:
    def made(base: Any, **body: Any) -> type:
        return type("Made", (base,), body)

    fields = [("x", ctypes.c_uint8), ("y", ctypes.c_uint32)]
    parent: Any = made(ctypes.Structure, _fields_=fields)
    layouts = [
        parent,
        made(ctypes.Union, _fields_=fields),
        made(ctypes.BigEndianStructure, _fields_=fields),
        made(ctypes.Structure, _fields_=fields, _pack_=1, _layout_="ms"),
        made(ctypes.Structure, _fields_=[("x", ctypes.c_int8), ("y", ctypes.c_uint32)]),
        made(ctypes.Structure, _fields_=[("x", ctypes.c_uint8), ("y", ctypes.c_uint32, 3)]),
        made(ctypes.Structure, _fields_=[("x", ctypes.c_uint8), ("y", ctypes.c_uint32, 4)]),
        made(ctypes.Structure, _fields_=[("x", ctypes.c_uint8), ("y", ctypes.c_uint32 * 1)]),
        made(parent, _fields_=[("z", ctypes.c_uint8)]),
    ]
    assert len({fingerprint(layout) for layout in layouts}) == len(layouts)


def test_fingerprint_of_a_struct_depends_on_how_it_is_written() -> None:
    field = ("x", int)
    structs = [
        struct(field),
        struct(field, array_like=True),
        struct(field, tag="a"),
        struct(field, tag="b"),
        struct(field, tag="a", tag_field="t"),
        struct(field, omit_defaults=True),
        struct(("x_y", int)),
        struct(("x_y", int), rename="camel"),
    ]
    assert len({fingerprint(made) for made in structs}) == len(structs)


def test_default_counts_where_a_payload_leaves_it_out() -> None:
    def made(default: Any, **config: Any) -> Any:
        return struct(("x", Any, default), **config)

    class Plain:
        pass

    defaults = [5.0, 7.0, 5, None, "5", msgspec.field(default_factory=list), msgspec.field(default_factory=Plain)]
    assert len({fingerprint(made(one, omit_defaults=True)) for one in defaults}) == len(defaults)
    assert len({fingerprint(made(one)) for one in defaults}) == 1
    assert fingerprint(struct(("x", Any), omit_defaults=True)) != fingerprint(made(None, omit_defaults=True))
    renamed = [made(one, omit_defaults=True, rename={"x": "y"}) for one in defaults[:2]]
    assert fingerprint(renamed[0]) != fingerprint(renamed[1])
    inside = [struct(("inner", made(one, omit_defaults=True))) for one in defaults[:2]]
    assert fingerprint(inside[0]) != fingerprint(inside[1])


def test_default_that_has_no_json_counts_by_the_name_of_its_class() -> None:
    class Plain:
        pass

    first, second = (struct(("x", Any, Plain()), omit_defaults=True) for _ in range(2))
    assert fingerprint(first) == fingerprint(second) != fingerprint(struct(("x", Any, 1), omit_defaults=True))


def test_fingerprint_follows_fields_into_other_classes() -> None:
    inner, other = struct(("x", int)), struct(("x", float))
    assert fingerprint(struct(("inner", list[inner]))) != fingerprint(struct(("inner", list[other])))  # type: ignore[valid-type]
    assert fingerprint(dataclass(("inner", dataclass(("x", int))))) == fingerprint(struct(("inner", inner)))


T = TypeVar("T")
Price = NewType("Price", float)


class Box(msgspec.Struct, Generic[T]):
    item: T


class IntBox(Box[int]):
    pass


class StrBox(Box[str]):
    pass


class Node(msgspec.Struct):
    following: Optional[Node]  # noqa: UP045


class Pair(NamedTuple):
    x: int
    y: str


class Entry(TypedDict, total=False):
    x: int


class Level(enum.IntEnum):
    LOW = 1
    LEAST = 1
    HIGH = 2


@pytest.mark.parametrize(
    ("annotation", "text"),
    [
        (int, "int"),
        (None, "None"),
        (Any, "Any"),
        (list[int], "list[int]"),
        (tuple[int, ...], "tuple[int,ellipsis]"),
        (int | None, "None|int"),
        (Union[str, int], "int|str"),  # noqa: UP007
        (Union[int, str], "int|str"),  # noqa: UP007
        (dict[str, list[float | None]], "dict[str,list[None|float]]"),
        (Annotated[int, object()], "int"),
        (Literal["b", "a", 3, None], "literal['a','b',3,None]"),
        (Price, "float"),
        ("Unresolved", "Unresolved"),
        (GenericAlias(list, ("Unresolved",)), "list[Unresolved]"),
        (T, "T<None[]>"),
        (IntBox, "map<int>{item:T<None[]>}"),
        (StrBox, "map<str>{item:T<None[]>}"),
        (Box[int], "map{item:T<None[]>}[int]"),
        (Node, "map{following:None|^0}"),
        (Pair, "array{x:int,y:str}"),
        (Entry, "map{x?:int}"),
        (Level, "enum{LOW=1,LEAST=1,HIGH=2}"),
    ],
)
def test_layout_of_an_annotation_reads_like_this(annotation: Any, text: str) -> None:
    assert layout_of(annotation) == text
