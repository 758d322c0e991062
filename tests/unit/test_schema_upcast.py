"""Old layouts read as the class of today, by a worker that reads a bus on which the layout changed on the way."""

from __future__ import annotations

import ctypes
import itertools
from types import SimpleNamespace
from typing import Annotated, Any

import numpy as np
import pydantic
import pytest

from every_codec import ProtobufQuote, quote_class
from nanobus import CircularBus, DecodeError, Record, SchemaMismatchError, f64, message, u8, u32, upcast
from nanobus.bus.codec import Codec, find_codec
from nanobus.codecs import codec_for
from nanobus.dispatch.outlet import Outlet
from nanobus.dispatch.router import Router
from nanobus.dispatch.worker_loop import WorkerLoop
from nanobus.schema import Schema, upcasting_codec
from nanobus.schema.upcasting import UpcastingCodec

msgspec = pytest.importorskip("msgspec")

SOURCE = 5


def bid_only() -> type[Record]:
    class Quote(Record):
        bid: u32
        symbol: Annotated[bytes, 4]

    return Quote


def bid_and_side() -> type[Record]:
    class Quote(Record):
        side: u8
        bid: f64

    return Quote


@message(id=2200)
class Quote(Record):
    bid: f64
    ask: f64
    symbol: Annotated[bytes, 4]


FIRST, SECOND, NOW = codec_for(bid_only(), 2200), codec_for(bid_and_side(), 2200), find_codec(Quote)
SEEN: list[SimpleNamespace] = []


@upcast(Quote, from_fingerprint=FIRST.fingerprint)
def from_first(old: Any) -> Quote:
    SEEN.append(old)
    return Quote(float(old.bid), 0.0, old.symbol)


@upcast(Quote, from_fingerprint=SECOND.fingerprint)
def from_second(old: Any) -> Quote:
    return Quote(old.bid, old.bid + old.side, b"")


def handled(bus: CircularBus, codec: Codec, schema: Schema, *, start: Any = "oldest") -> list[Any]:
    """Run a worker over all that is on the bus; return the messages its handler got, and the errors."""
    got: list[Any] = []
    reader = bus.reader(start)
    writer = bus.writer()
    router = Router(
        {(SOURCE, codec.message_id): [(0, got.append)]}, {codec.message_id: upcasting_codec(codec, schema, reader)}
    )

    def on_failure(handler: object, message: object, position: object, error: BaseException) -> bool:
        got.append(error)
        return True

    loop = WorkerLoop(reader, Outlet(writer, 1 << 16, lambda: None), router, [], [], 0.001, on_failure, got.append)
    loop.stop(bus.head)
    loop.run()
    return got


def written(*runs: tuple[Codec, list[Any]]) -> tuple[CircularBus, Schema]:
    """Write what several generations of an application do, each with a class of its own."""
    bus, schema = CircularBus(1 << 16), Schema()
    for codec, sent in runs:
        schema = Schema(schema.messages + Schema().merge([codec], {}, bus.head).messages)
        for one in sent:
            bus.write(SOURCE, codec.message_id, codec.encode_message(one))
    return bus, schema


def test_three_layouts_on_one_bus_are_read_as_the_class_of_today() -> None:
    first: Any = FIRST.message_type
    second: Any = SECOND.message_type
    bus, schema = written(
        (FIRST, [first(1, b"a"), first(2, b"b")]), (SECOND, [second(1, 3.0)]), (NOW, [Quote(4.0, 5.0, b"c")]),
    )  # fmt: skip
    assert handled(bus, NOW, schema) == [
        Quote(1.0, 0.0, b"a"), Quote(2.0, 0.0, b"b"), Quote(3.0, 4.0, b""), Quote(4.0, 5.0, b"c"),
    ]  # fmt: skip
    assert SEEN[-1] == SimpleNamespace(bid=2, symbol=b"b")


def test_record_made_by_an_upcast_is_read_only_as_any_received_one_and_may_be_kept() -> None:
    first: Any = FIRST.message_type
    bus, schema = written((FIRST, [first(n, b"a") for n in range(20)]), (NOW, [Quote(20.0, 0.0, b"a")] * 20))
    kept = handled(bus, NOW, schema)
    assert [quote.bid for quote in kept] == [*map(float, range(20)), *[20.0] * 20]
    for quote in (kept[0], kept[-1]):
        with pytest.raises(AttributeError, match="read-only"):
            quote.bid = 3.0


def test_reader_behind_the_old_layouts_has_the_codec_itself() -> None:
    first: Any = FIRST.message_type
    bus, schema = written((FIRST, [first(1, b"a")]), (NOW, [Quote(1.0, 2.0, b"c")]))
    since = schema.messages[-1].since
    assert upcasting_codec(NOW, schema, bus.reader(since)) is NOW
    assert isinstance(upcasting_codec(NOW, schema, bus.reader()), UpcastingCodec)
    assert handled(bus, NOW, schema, start=since) == [Quote(1.0, 2.0, b"c")]


def test_message_that_never_changed_has_the_codec_itself() -> None:
    bus, schema = written((NOW, [Quote(1.0, 2.0, b"c")]))
    assert upcasting_codec(NOW, schema, bus.reader()) is NOW
    assert upcasting_codec(NOW, Schema(), bus.reader()) is NOW


def test_layout_without_an_upcast_is_refused_before_anything_is_read_unless_it_lies_behind() -> None:
    class Unknown(Record):
        bid: f64
        more: f64

    unknown, second = codec_for(Unknown, 2200), SECOND.message_type
    upcast_later = Schema().merge([unknown], {}, 0)
    bus = CircularBus(1 << 16)
    bus.write(SOURCE, 2200, unknown.encode_message(Unknown(1.0, 2.0)))
    old = upcast_later.messages + Schema().merge([SECOND], {}, bus.head).messages
    bus.write(SOURCE, 2200, SECOND.encode_message(second(1, 3.0)))
    schema = Schema(old + Schema().merge([NOW], {}, bus.head).messages)
    with pytest.raises(SchemaMismatchError, match=r"(?s)removed  more: f64.*@upcast\(Quote, from_fingerprint="):
        upcasting_codec(NOW, schema, bus.reader())
    assert handled(bus, NOW, schema, start=schema.messages[1].since) == [Quote(3.0, 4.0, b"")]


def test_layout_that_came_back_is_read_by_the_codec_wherever_it_stands() -> None:
    class Alpha(msgspec.Struct):
        a: int

    class Beta(msgspec.Struct):
        b: int

    message(Alpha, id=2201)
    alpha, beta = find_codec(Alpha), codec_for(Beta, 2201)
    upcast(Alpha, from_fingerprint=beta.fingerprint)(lambda old: Alpha(-old.b))
    bus = CircularBus(1 << 16)
    entries: list[Any] = []
    for number, codec in enumerate([alpha, beta, alpha, beta, alpha, alpha]):
        entries += Schema().merge([codec], {}, bus.head).messages
        bus.write(SOURCE, 2201, codec.encode_message(codec.message_type(number)))
    schema = Schema(tuple(entries))
    assert handled(bus, alpha, schema) == [Alpha(n) for n in (0, -1, 2, -3, 4, 5)]
    assert upcasting_codec(alpha, schema, bus.reader(entries[4].since)) is alpha


def test_journal_that_only_old_classes_wrote_is_read_as_the_new_one() -> None:
    first: Any = FIRST.message_type
    bus, schema = written((FIRST, [first(1, b"a"), first(2, b"a")]))
    assert handled(bus, NOW, schema) == [Quote(1.0, 0.0, b"a"), Quote(2.0, 0.0, b"a")]


def test_what_was_written_before_the_first_entry_is_read_by_the_class() -> None:
    first: Any = FIRST.message_type
    bus = CircularBus(1 << 16)
    bus.write(SOURCE, 2200, NOW.encode_message(Quote(1.0, 2.0, b"c")))
    schema = Schema().merge([FIRST], {}, bus.head)
    bus.write(SOURCE, 2200, FIRST.encode_message(first(7, b"a")))
    assert handled(bus, NOW, schema) == [Quote(1.0, 2.0, b"c"), Quote(7.0, 0.0, b"a")]


def test_upcast_that_fails_and_payload_that_does_not_fit_are_decode_errors_of_their_position() -> None:
    class Old(msgspec.Struct):
        a: int

    class New(msgspec.Struct):
        b: int

    message(New, id=2202)
    old, new = codec_for(Old, 2202), find_codec(New)

    @upcast(New, from_fingerprint=old.fingerprint)
    def from_old(old: Any) -> Any:
        return New(1 // old.a) if old.a >= 0 else old

    bus, schema = written((old, [Old(1), Old(0), Old(-1), Old(1)]))
    bus.write(SOURCE, 2202, b"\xc1")
    bus.write(SOURCE, 2202, msgspec.msgpack.encode({}))
    results = handled(bus, new, schema)
    assert [type(result) for result in results] == [New, DecodeError, DecodeError, New, DecodeError, DecodeError]
    for result, text in zip(
        [results[1], results[2], results[4], results[5]],
        ["ZeroDivisionError", "must return a", "cannot become a", "AttributeError"],
        strict=True,
    ):
        assert text in str(result)
        assert old.fingerprint in str(result)
    assert isinstance(results[1].__cause__, ZeroDivisionError)


def test_upcasting_codec_sends_and_claims_as_the_codec_does() -> None:
    first: Any = FIRST.message_type
    bus, schema = written((FIRST, [first(1, b"a")]))
    codec = upcasting_codec(NOW, schema, bus.reader())
    assert codec.fixed_size == NOW.fixed_size
    assert (codec.name, codec.fingerprint, codec.message_type) == (NOW.name, NOW.fingerprint, Quote)
    sent = Quote(1.0, 2.0, b"c")
    assert codec.encode_message(sent) == NOW.encode_message(sent)
    with pytest.raises(TypeError):
        UpcastingCodec(None, None, 0, None)  # type: ignore[arg-type]


# -------------------------------------------------------------------------- what an upcast gets, by codec


class Point(ctypes.Structure):
    _fields_ = (("x", ctypes.c_double), ("name", ctypes.c_char * 4))


class Leg(msgspec.Struct, array_like=True):
    amount: int


class Basket(msgspec.Struct):
    legs: list[Leg]
    by_name: dict[str, Leg]


class Model(pydantic.BaseModel):
    x: int
    inner: dict[str, int]


class Column(np.ndarray):
    pass


class Opaque:
    def encode(self, sent: object) -> bytes:
        return b"as it was"

    def decode(self, payload: bytes) -> object:
        return payload


ids = itertools.count(2210)
OLD = [
    (Point, None, Point(1.5, b"ab"), SimpleNamespace(x=1.5, name=b"ab")),
    (
        Basket, None, Basket([Leg(1)], {"a": Leg(2)}),
        SimpleNamespace(legs=[SimpleNamespace(amount=1)], by_name={"a": SimpleNamespace(amount=2)}),
    ),
    (Model, None, Model(x=1, inner={"a": 2}), SimpleNamespace(x=1, inner={"a": 2})),
    (
        Column, np.dtype([("x", "f8"), ("n", "S2")]), np.array([(1.5, b"a")], [("x", "f8"), ("n", "S2")]).view(Column),
        [SimpleNamespace(x=1.5, n=b"a")],
    ),
    (bytes, None, b"raw", b"raw"),
    (Leg, Opaque(), Leg(1), b"as it was"),
    (
        ProtobufQuote, None, ProtobufQuote(digest=b"\xff", best={"price": float("inf")}),
        SimpleNamespace(
            symbol="", volume=0, digest=b"\xff", levels=[], best=SimpleNamespace(price=float("inf")), colour="RED",
            counts={},
        ),
    ),
]  # fmt: skip


@pytest.mark.parametrize(("cls", "how", "sent", "expected"), OLD, ids=[cls.__qualname__ for cls, *_ in OLD])
def test_upcast_gets_the_fields_of_the_old_layout(cls: Any, how: Any, sent: Any, expected: Any) -> None:
    class Now(msgspec.Struct):
        old: Any

    now_id = next(ids)
    message(Now, id=now_id)
    old = codec_for(cls, now_id, how)
    upcast(Now, from_fingerprint=old.fingerprint)(Now)
    bus, schema = written((old, [sent]), (find_codec(Now), [Now(3)]))
    assert [one.old for one in handled(bus, find_codec(Now), schema)] == [expected, 3]


def test_protobuf_message_of_an_older_file_is_decoded_by_that_file() -> None:
    class Now(msgspec.Struct):
        levels: list[float]
        has_size: bool

    message(Now, id=2230)
    for more in (False, True):
        old = codec_for(quote_class(more=more), 2230)
        upcast(Now, from_fingerprint=old.fingerprint)(
            lambda old: Now([level.price for level in old.levels], hasattr(old.levels[0], "size"))
        )
        bus, schema = written((old, [old.message_type(levels=[{"price": 1.5}])]))
        assert handled(bus, find_codec(Now), schema) == [Now([1.5], more)]
