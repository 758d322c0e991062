"""A message of every codec, and what there is to see of it without its class."""

from __future__ import annotations

import ctypes
import dataclasses
import datetime
import decimal
import enum
from typing import Annotated, Any, Literal, NamedTuple, TypedDict

import attrs
import numpy as np
import pydantic
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory

from nanobus import Array, Record, boolean, f32, f64, i8, i16, i32, i64, message, u8, u16, u32, u64

msgspec = pytest.importorskip("msgspec")


@message(id=2001)
class Numbers(Record):
    a: u8
    b: u16
    c: u32
    d: u64
    e: i8
    f: i16
    g: i32
    h: i64
    i: f32
    j: f64
    k: boolean
    symbol: Annotated[bytes, 6]
    digest: Annotated[bytes, 4]
    levels: Annotated[tuple[float, ...], Array(f64, 3)]
    flags: Annotated[tuple[bool, ...], Array(boolean, 2)]


NUMBERS = Numbers(
    255, 65535, 2**32 - 1, 2**64 - 1, -128, -(2**15), -(2**31), -(2**63), 0.5, 1e300, True,
    b"ACME", b"\xff\xfe", (1.0, -2.0, float("inf")), (True, False),
)  # fmt: skip


class Side(enum.Enum):
    BUY = "b"
    SELL = "s"


class Leg(msgspec.Struct, array_like=True):
    side: Side
    amount: int
    note: str = "none"


class Limit(msgspec.Struct, tag="limit"):
    price: float


class Stop(msgspec.Struct, tag="stop"):
    price: float


class Point(NamedTuple):
    x: int
    y: int


class Extra(TypedDict, total=False):
    why: str


class Basket(msgspec.Struct, rename="camel"):
    legs_of_all: list[Leg]
    by_name: dict[str, Leg]
    either: Leg | int | None
    pair: tuple[Leg, int]
    order: Limit | Stop
    place: Point
    extra: Extra
    names: dict[int, bytes]
    when: datetime.datetime
    price: decimal.Decimal
    inner: Basket | None = None
    rate: float = float("nan")


message(Basket, id=2002)  # not as a decorator: only now is there a class of its name
MOMENT = datetime.datetime(2026, 1, 2, 3, 4, 5, tzinfo=datetime.UTC)
LEG = Leg(Side.BUY, 3)
BASKET = Basket(
    [LEG, Leg(Side.SELL, 4, "x")], {"one": LEG}, LEG, (LEG, 7), Stop(1.5), Point(1, 2), {"why": "so"},
    {5: b"ok", 6: b"\0"}, MOMENT, decimal.Decimal("1.50"),
    Basket([], {}, None, (LEG, 8), Limit(2.5), Point(3, 4), {}, {}, MOMENT, decimal.Decimal(0), None, 1.0),
)  # fmt: skip
SEEN_LEG = {"side": "b", "amount": 3, "note": "none"}
SEEN_BASKET = {
    "legs_of_all": [SEEN_LEG, {"side": "s", "amount": 4, "note": "x"}],
    "by_name": {"one": SEEN_LEG},
    "either": SEEN_LEG,
    "pair": [SEEN_LEG, 7],
    "order": {"type": "stop", "price": 1.5},
    "place": {"x": 1, "y": 2},
    "extra": {"why": "so"},
    "names": {"5": "ok", "6": {"base64": "AA=="}},
    "when": "2026-01-02T03:04:05+00:00",
    "price": "1.50",
    "inner": {
        "legs_of_all": [], "by_name": {}, "either": None, "pair": [SEEN_LEG, 8],
        "order": {"type": "limit", "price": 2.5}, "place": {"x": 3, "y": 4}, "extra": {}, "names": {},
        "when": "2026-01-02T03:04:05+00:00", "price": "0",
        "inner": None, "rate": 1.0,
    },
    "rate": "NaN",
}  # fmt: skip


class Tagged(msgspec.Struct, array_like=True, tag=3, tag_field="kind"):
    x: int
    inner: Tagged | None = None


message(Tagged, id=2003)

@message(id=2004)
@dataclasses.dataclass
class Order:
    symbol: str
    legs: list[Leg]
    count: int = dataclasses.field(init=False, default=5)


ORDER = Order("ACME", [LEG])
ORDER.count = 9  # msgspec writes what the object itself holds, a default of its class not


@message(id=2005)
@attrs.define
class Trade:
    order: Order
    kind: Literal["a", "b"] = "a"


@message(id=2006)
class Settings(pydantic.BaseModel):
    name: str = pydantic.Field(alias="settingName")
    side: Side = Side.BUY
    inner: dict[str, float] = {}


class Coordinate(ctypes.Structure):
    _fields_ = (("x", ctypes.c_double), ("y", ctypes.c_int32 * 2))


class Reals(ctypes.Union):
    _fields_ = (("whole", ctypes.c_uint32), ("real", ctypes.c_float))


class Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint16), ("long", ctypes.c_long))


@message(id=2007)
class Shape(Header):
    _fields_ = (
        ("corners", (Coordinate * 2) * 2),
        ("low", ctypes.c_uint8, 3),
        ("high", ctypes.c_int8, 4),
        ("word", ctypes.c_int32, 20),
        ("name", ctypes.c_char * 5),
        ("wide", ctypes.c_wchar * 3),
        ("letter", ctypes.c_char),
        ("either", Reals),
        ("fine", ctypes.c_bool),
        ("exact", ctypes.c_longdouble),
    )


SHAPE = Shape(
    version=3, long=-4, low=5, high=-6, word=-1234, name=b"box", wide="\u20ac\U0001f600", letter=b"L", fine=True
)
SHAPE.corners[1][0].x = 2.5
SHAPE.corners[1][0].y[1] = -7
SHAPE.either.real = 1.0
NOWHERE = {"x": 0.0, "y": [0, 0]}
SEEN_SHAPE = {
    "version": 3, "long": -4, "corners": [[NOWHERE, NOWHERE], [{"x": 2.5, "y": [0, -7]}, NOWHERE]],
    "low": 5, "high": -6, "word": -1234, "name": "box", "wide": "\u20ac\U0001f600", "letter": "L",
    "either": {"whole": 0x3F800000, "real": 1.0}, "fine": True, "exact": {"base64": "AAAAAAAAAAAAAAAAAAAAAA=="},
}  # fmt: skip


@message(id=2008)
class Network(ctypes.BigEndianStructure):
    _fields_ = (("port", ctypes.c_uint16), ("ratio", ctypes.c_double), ("top", ctypes.c_uint16, 3))


TICK = np.dtype(
    [
        ("time", "M8[ns]"), ("late", "m8[us]"), ("price", ">f8", (2, 2)), ("symbol", "S3"), ("name", "U2"),
        ("half", "f2"), ("flag", "?"), ("phase", "c16"), ("rest", "V2"), ("inner", [("z", "<u4")]),
    ],
    align=True,
)  # fmt: skip


@message(id=2009, codec=TICK)
class Ticks(np.ndarray):
    pass


TICKS: Any = np.zeros(2, TICK).view(Ticks)
TICKS["time"] = [np.datetime64(5, "ns"), np.datetime64("NaT", "ns")]
TICKS["late"] = np.timedelta64(-3, "us")
TICKS["price"][1] = [[1.0, 2.0], [3.0, 4.0]]
TICKS["symbol"], TICKS["name"], TICKS["half"], TICKS["flag"] = b"abc", "\u00e9x", 0.5, True
TICKS["phase"], TICKS["rest"], TICKS["inner"]["z"] = 1 + 2j, b"\xff\xff", 9
SEEN_TICK = {
    "time": 5, "late": -3, "price": [[0.0, 0.0], [0.0, 0.0]], "symbol": "abc", "name": "\u00e9x", "half": 0.5,
    "flag": True, "phase": {"real": 1.0, "imag": 2.0}, "rest": {"base64": "//8="}, "inner": {"z": 9},
}  # fmt: skip


@message(id=2010, codec=np.dtype(">i2"))
class Shorts(np.ndarray):
    pass


@message(id=2011)
class Blob(bytes):
    pass


@message(id=2012, codec="pickle")
class Anything:
    def __init__(self, content: Any) -> None:
        self.content = content


class PriceCodec:
    name = "price"

    def encode(self, price: Price) -> bytes:
        return str(price.value).encode()

    def decode(self, payload: bytes) -> Price:
        return Price(float(payload))


@dataclasses.dataclass
class Price:
    value: float


message(Price, id=2013, codec=PriceCodec())


def quotes_file(*, more: bool = False) -> descriptor_pb2.FileDescriptorProto:
    """A file as protoc describes it, which imports another one."""
    file = descriptor_pb2.FileDescriptorProto(name="quotes.proto", package="quotes", syntax="proto3")
    file.dependency.append("colours.proto")
    inner = file.message_type.add(name="Level")
    inner.field.add(name="price", number=1, type=1, label=1)
    outer = file.message_type.add(name="Quote")
    outer.field.add(name="symbol", number=1, type=9, label=1)
    outer.field.add(name="volume", number=2, type=3, label=1)
    outer.field.add(name="digest", number=3, type=12, label=1)
    outer.field.add(name="levels", number=4, type=11, label=3, type_name=".quotes.Level")
    outer.field.add(name="best", number=5, type=11, label=1, type_name=".quotes.Level")
    outer.field.add(name="colour", number=6, type=14, label=1, type_name=".colours.Colour")
    outer.field.add(name="counts", number=7, type=11, label=3, type_name=".quotes.Quote.CountsEntry")
    entry = outer.nested_type.add(name="CountsEntry")
    entry.options.map_entry = True
    entry.field.add(name="key", number=1, type=9, label=1)
    entry.field.add(name="value", number=2, type=5, label=1)
    if more:
        inner.field.add(name="size", number=2, type=13, label=1)
    return file


def colours_file() -> descriptor_pb2.FileDescriptorProto:
    file = descriptor_pb2.FileDescriptorProto(name="colours.proto", package="colours", syntax="proto3")
    colour = file.enum_type.add(name="Colour")
    colour.value.add(name="RED", number=0)
    colour.value.add(name="BLUE", number=1)
    return file


def quote_class(*, more: bool = False) -> Any:
    pool = descriptor_pool.DescriptorPool()
    pool.Add(colours_file())
    pool.Add(quotes_file(more=more))
    return message_factory.GetMessageClass(pool.FindMessageTypeByName("quotes.Quote"))


ProtobufQuote = message(quote_class(), id=2014)
PROTOBUF_QUOTE = ProtobufQuote(symbol="ACME", digest=b"\xff", levels=[{"price": 1.5}, {}], colour=1, counts={"a": 3})
SEEN_PROTOBUF_QUOTE = {
    "symbol": "ACME", "volume": 0, "digest": {"base64": "/w=="}, "levels": [{"price": 1.5}, {"price": 0.0}],
    "best": None, "colour": "BLUE", "counts": {"a": 3},
}  # fmt: skip

# Every message, and what is seen of it.
SAMPLES: list[tuple[Any, Any]] = [
    (
        NUMBERS,
        {
            "a": 255, "b": 65535, "c": 2**32 - 1, "d": 2**64 - 1, "e": -128, "f": -(2**15), "g": -(2**31),
            "h": -(2**63), "i": 0.5, "j": 1e300, "k": True, "symbol": "ACME", "digest": {"base64": "//4="},
            "levels": [1.0, -2.0, "Infinity"], "flags": [True, False],
        },
    ),
    (BASKET, SEEN_BASKET),
    (Tagged(1, Tagged(2)), {"kind": 3, "x": 1, "inner": {"kind": 3, "x": 2, "inner": None}}),
    (ORDER, {"symbol": "ACME", "legs": [SEEN_LEG], "count": 9}),
    (Trade(Order("B", [])), {"order": {"symbol": "B", "legs": []}, "kind": "a"}),
    (Settings(settingName="x", inner={"a": 1.5}), {"name": "x", "side": "b", "inner": {"a": 1.5}}),
    (SHAPE, SEEN_SHAPE),
    (Network(0x0102, 0.5, 5), {"port": 0x0102, "ratio": 0.5, "top": 5}),
    (TICKS, [SEEN_TICK, {**SEEN_TICK, "time": None, "price": [[1.0, 2.0], [3.0, 4.0]]}]),
    (np.array([1, -2], ">i2").view(Shorts), [1, -2]),
    (Blob("héllo\n".encode()), "héllo\n"),
    (Blob(b"\x00\xff"), {"base64": "AP8="}),
    (PROTOBUF_QUOTE, SEEN_PROTOBUF_QUOTE),
]  # fmt: skip
