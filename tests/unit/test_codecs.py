"""msgspec, protobuf and pydantic: there and back, who owns the bytes, what is refused when declared, sent, received."""

from __future__ import annotations

import dataclasses
import enum
import threading
from typing import Any, Generic, TypeVar

import attrs
import pydantic
import pytest
from google.protobuf import descriptor_pb2, descriptor_pool, message_factory
from hypothesis import given
from hypothesis import strategies as st

from nanobus.bus.codec import find_codec
from nanobus.errors import DecodeError, EncodeError, MessageError
from nanobus.messages import message

msgspec = pytest.importorskip("msgspec")


def there_and_back(sent: Any) -> Any:
    codec = find_codec(type(sent))
    return codec.decode_payload(codec.encode_message(sent))


def check_cut_payloads_are_refused(sent: Any) -> None:
    codec = find_codec(type(sent))
    payload = codec.encode_message(sent)
    for size in range(len(payload)):
        with pytest.raises(DecodeError, match=f"cannot decode {size} bytes"):
            codec.decode_payload(payload[:size])


def protobuf_class(*fields: tuple[str, int], name: str = "Quote") -> type[Any]:
    """A message class as protoc would generate it, from (field, type) pairs."""
    file = descriptor_pb2.FileDescriptorProto(name="quotes.proto", package="quotes", syntax="proto3")
    descriptor = file.message_type.add(name=name)
    for number, (field, kind) in enumerate(fields, start=1):
        descriptor.field.add(name=field, number=number, type=kind, label=1)
    pool = descriptor_pool.DescriptorPool()
    pool.Add(file)
    made: type[Any] = message_factory.GetMessageClass(pool.FindMessageTypeByName(f"quotes.{name}"))
    return made


DOUBLE, INT64, STRING = 1, 3, 9


class Side(enum.Enum):
    BUY = "b"
    SELL = "s"


@message(id=1)
class Quote(msgspec.Struct, frozen=True):
    symbol: str
    bid: float
    sizes: list[int] = []  # noqa: RUF012  # msgspec copies it
    side: Side = Side.BUY
    note: bytes | None = None


@message(id=2)
@dataclasses.dataclass
class Order:
    symbol: str
    amount: int
    _reference: int = 0
    total: int = dataclasses.field(init=False, default=0)


@message(id=3)
@dataclasses.dataclass(frozen=True, slots=True, kw_only=True)
class FrozenOrder:
    symbol: str
    legs: tuple[int, ...] = ()


@message(id=4)
@attrs.define
class Trade:
    symbol: str
    price: float = attrs.field(converter=float)


@message(id=5)
class Settings(pydantic.BaseModel):
    name: str = pydantic.Field(alias="settingName")
    limit: int = pydantic.Field(3, validation_alias="upper", serialization_alias="upper_limit")

    @pydantic.computed_field  # type: ignore[prop-decorator]
    @property
    def double(self) -> int:
        return 2 * self.limit


# ---------------------------------------------------------------------------------------------------- msgspec


@given(
    symbol=st.text(),
    bid=st.floats(allow_nan=False),
    sizes=st.lists(st.integers(-(2**63), 2**64 - 1)),
    side=st.sampled_from(Side),
    note=st.none() | st.binary(),
)
def test_struct_comes_back_equal(symbol: str, bid: float, sizes: list[int], side: Side, note: bytes | None) -> None:
    sent = Quote(symbol, bid, sizes, side, note)
    assert there_and_back(sent) == sent


@given(symbol=st.text(), amount=st.integers(-(2**63), 2**64 - 1))
def test_dataclass_comes_back_equal(symbol: str, amount: int) -> None:
    sent = Order(symbol, amount, 5)
    sent.total = 7
    received = there_and_back(sent)
    assert type(received) is Order
    assert received == sent


def test_frozen_dataclass_with_slots_comes_back_equal() -> None:
    sent = FrozenOrder(symbol="ACME", legs=(1, 2))
    assert there_and_back(sent) == sent


def test_attrs_class_comes_back_equal() -> None:
    sent = Trade("ACME", "1.5")
    received = there_and_back(sent)
    assert type(received) is Trade
    assert received == Trade("ACME", 1.5)


def test_tagged_struct_keeps_its_tag() -> None:
    class Tagged(msgspec.Struct, tag="t", array_like=True):
        x: int

    message(Tagged, id=20)
    assert there_and_back(Tagged(3)) == Tagged(3)
    with pytest.raises(DecodeError, match="Invalid value 'u'"):
        find_codec(Tagged).decode_payload(msgspec.msgpack.encode(["u", 3]))


def test_concrete_subclass_of_a_generic_struct_is_decoded_with_its_types() -> None:
    codec = find_codec(message(IntBox, id=21))
    assert there_and_back(IntBox(3)) == IntBox(3)
    with pytest.raises(DecodeError, match="Expected `int`, got `str`"):
        codec.decode_payload(codec.encode_message(IntBox("three")))  # type: ignore[arg-type]


T = TypeVar("T")


class Box(msgspec.Struct, Generic[T]):
    item: T


class IntBox(Box[int]):
    pass


@pytest.mark.parametrize("sent", [Quote("ACME", 1.0, [1, 2]), Order("ACME", 3), Trade("ACME", 2.0)])
def test_msgpack_that_was_cut_is_refused(sent: Any) -> None:
    check_cut_payloads_are_refused(sent)


def test_msgpack_with_bytes_behind_it_is_refused() -> None:
    codec = find_codec(Trade)
    with pytest.raises(DecodeError, match="trailing characters"):
        codec.decode_payload(codec.encode_message(Trade("ACME", 1.0)) + b"\0")


def test_decode_error_names_codec_class_id_and_cause() -> None:
    with pytest.raises(DecodeError, match=r"msgspec codec of Quote \(id 1\) cannot decode 1 bytes: Expected") as caught:
        find_codec(Quote).decode_payload(b"\0")
    assert isinstance(caught.value.__cause__, msgspec.ValidationError)


def test_struct_with_a_type_unknown_to_msgspec_fails_when_sent() -> None:
    class Opaque(msgspec.Struct):
        content: Any

    message(Opaque, id=22)
    with pytest.raises(EncodeError, match="Encoding objects of type object is unsupported") as caught:
        find_codec(Opaque).encode_message(Opaque(object()))
    assert isinstance(caught.value.__cause__, TypeError)


def test_struct_with_an_undefined_type_is_refused() -> None:
    class Unfinished(msgspec.Struct):
        other: Undefined  # type: ignore[name-defined]  # noqa: F821

    with pytest.raises(MessageError, match=r"msgspec cannot decode .*Unfinished: name 'Undefined' is not defined"):
        message(Unfinished, id=23)


def test_struct_with_a_union_msgspec_cannot_tell_apart_is_refused() -> None:
    class Ambiguous(msgspec.Struct):
        either: list[int] | tuple[int]

    with pytest.raises(MessageError, match=r"msgspec cannot decode .*Ambiguous: .*more than one array-like"):
        message(Ambiguous, id=23)


def test_dataclass_with_init_only_variables_is_refused() -> None:
    @dataclasses.dataclass
    class Seeded:
        seed: dataclasses.InitVar[int]

    with pytest.raises(MessageError, match=r"msgspec cannot decode .*Seeded: .*InitVar"):
        message(Seeded, id=23)


def test_undecorated_subclass_of_a_dataclass_is_refused_because_its_fields_would_be_lost() -> None:
    class Bigger(Order):
        extra: int = 3

    with pytest.raises(MessageError, match=r"Bigger has no codec.*@dataclass.* stands below @message"):
        message(Bigger, id=23)


def test_attrs_field_that_msgspec_would_drop_is_refused() -> None:
    @attrs.define
    class Hidden:
        _secret: int = 0

    with pytest.raises(MessageError, match=r"Hidden\._secret would not be sent: .* start with an underscore"):
        message(Hidden, id=23)


def test_attrs_field_without_a_type_is_refused() -> None:
    untyped = attrs.make_class("Untyped", ["anything"])
    with pytest.raises(MessageError, match=r"Untyped\.anything needs a type annotation"):
        message(untyped, id=23)


def test_one_codec_serves_many_threads() -> None:
    codec = find_codec(Quote)
    barrier = threading.Barrier(4)
    failures: list[BaseException] = []

    def work(seed: int) -> None:
        try:
            barrier.wait(timeout=60)
            for i in range(500):
                sent = Quote(f"{seed}-{i}", float(i), [seed] * (i % 7))
                assert codec.decode_payload(codec.encode_message(sent)) == sent
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=work, args=(seed,)) for seed in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(timeout=60)
    if failures:
        raise failures[0]
    assert not any(thread.is_alive() for thread in threads)


# --------------------------------------------------------------------------------------------------- protobuf


@given(symbol=st.text(), bid=st.floats(allow_nan=False), size=st.integers(-(2**63), 2**63 - 1))
def test_protobuf_message_comes_back_equal(symbol: str, bid: float, size: int) -> None:
    sent = ProtobufQuote(symbol=symbol, bid=bid, size=size)
    received = there_and_back(sent)
    assert type(received) is ProtobufQuote
    assert received == sent


ProtobufQuote = message(protobuf_class(("symbol", STRING), ("bid", DOUBLE), ("size", INT64)), id=30)


def test_protobuf_payload_that_was_cut_inside_a_field_is_refused() -> None:
    codec = find_codec(ProtobufQuote)
    payload = codec.encode_message(ProtobufQuote(symbol="ACME", bid=1.0))
    for size in (1, 3, 7, len(payload) - 1):
        with pytest.raises(DecodeError, match=r"protobuf codec of Quote \(id 30\)"):
            codec.decode_payload(payload[:size])


def test_protobuf_codec_refuses_another_class() -> None:
    with pytest.raises(EncodeError, match=r"protobuf codec of Quote \(id 30\) cannot encode Settings"):
        find_codec(ProtobufQuote).encode_message(Settings.model_validate({"settingName": "x"}))


def test_base_class_of_all_protobuf_messages_is_refused() -> None:
    from google.protobuf.message import Message

    with pytest.raises(MessageError, match="Message has no fields: declare the classes that protoc generated"):
        message(Message, id=31)


# --------------------------------------------------------------------------------------------------- pydantic


@given(name=st.text(), limit=st.integers(-(10**30), 10**30))
def test_pydantic_model_comes_back_equal_whatever_its_aliases(name: str, limit: int) -> None:
    sent = Settings.model_validate({"settingName": name, "upper": limit})
    received = there_and_back(sent)
    assert type(received) is Settings
    assert received == sent


def test_pydantic_dataclass_goes_through_its_validators() -> None:
    @pydantic.dataclasses.dataclass
    class Bounded:
        x: int = pydantic.Field(gt=0)

    message(Bounded, id=40)
    assert find_codec(Bounded).name == "pydantic"
    assert there_and_back(Bounded(3)) == Bounded(3)
    with pytest.raises(DecodeError, match="greater than 0"):
        find_codec(Bounded).decode_payload(b'{"x":0}')


def test_pydantic_value_of_the_wrong_type_is_warned_of_when_sent_and_refused_when_received() -> None:
    wrong = Settings.model_construct(name=3, limit=1)
    with pytest.warns(UserWarning, match="Expected `str`"):
        payload = find_codec(Settings).encode_message(wrong)
    with pytest.raises(DecodeError, match=r"pydantic codec of Settings \(id 5\) cannot decode 20 bytes: (?s:.)*name"):
        find_codec(Settings).decode_payload(payload)


def test_pydantic_value_that_json_cannot_hold_is_an_encode_error() -> None:
    class Binary(pydantic.BaseModel):
        content: bytes

    message(Binary, id=44)
    with pytest.raises(EncodeError, match=r"pydantic codec of .*Binary \(id 44\) cannot encode .*invalid utf-8"):
        find_codec(Binary).encode_message(Binary(content=b"\xff"))


def test_json_that_was_cut_is_refused() -> None:
    check_cut_payloads_are_refused(Settings.model_validate({"settingName": "x"}))


def test_pydantic_model_with_an_undefined_type_is_refused_until_it_is_defined() -> None:
    class Early(pydantic.BaseModel):
        late: Late

    with pytest.raises(MessageError, match=r"pydantic cannot decode .*Early: .*Late"):
        message(Early, id=41)

    class Late(pydantic.BaseModel):
        x: int

    Early.model_rebuild(_types_namespace={"Late": Late})
    message(Early, id=41)
    assert there_and_back(Early(late=Late(x=3))) == Early(late=Late(x=3))


def test_forward_reference_of_a_pydantic_model_is_resolved_when_declared() -> None:
    message(Parent, id=42)
    assert there_and_back(Parent(child=Child(x=3))) == Parent(child=Child(x=3))


class Parent(pydantic.BaseModel):
    child: Child


class Child(pydantic.BaseModel):
    x: int


def test_pydantic_base_model_itself_is_refused() -> None:
    with pytest.raises(MessageError, match="pydantic cannot decode BaseModel"):
        message(pydantic.BaseModel, id=43)
