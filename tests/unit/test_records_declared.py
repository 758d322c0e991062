"""Declaring a Record class: what has a layout, what is inherited, what is refused and by what words."""

from __future__ import annotations

import types
import weakref
from typing import Annotated, Any

import pytest

from nanobus.errors import MessageError
from nanobus.field_types import Array, f64, i64, u8
from nanobus.records import Record, RecordType
from sample_records import Quote, SizedQuote, Tick, record_class

# ---- inheritance ----


def test_inherited_fields_come_first_at_the_same_offsets() -> None:
    assert SizedQuote.__layout__[: len(Quote.__layout__)] == Quote.__layout__
    quote = SizedQuote(b"A", 1.0, 2.0, range(5), 9, True)
    assert (quote.symbol, quote.levels, quote.lots, quote.firm) == (b"A", (0.0, 1.0, 2.0, 3.0, 4.0), 9, True)
    assert (SizedQuote().ask, SizedQuote().lots, quote.spread) == (1.5, 3, 1.0)


def test_own_fields_may_fill_the_padding_of_the_base() -> None:
    class Narrow(Record):
        wide: i64
        narrow: u8

    class Filled(Narrow):
        more: u8 = 7

    assert Filled.__layout__[-1] == ("more", "B", 9, 1)
    assert bytes(Filled(1, 2)) == b"\1" + bytes(7) + b"\2\7" + bytes(6)


def test_a_subclass_without_fields_has_the_layout_of_its_base() -> None:
    class Plain(Quote):
        pass

    assert Plain.__layout__ == Quote.__layout__
    assert Plain(b"A").symbol == b"A"
    assert Plain(b"A") != Quote(b"A")


@pytest.mark.parametrize("body", [{"__annotations__": {"bid": f64}}, {"bid": 2.0}, {"bid": property(float)}])
def test_an_inherited_field_cannot_be_declared_again(body: dict[str, Any]) -> None:
    with pytest.raises(MessageError, match=r"Again\.bid is a field of Quote already"):
        types.new_class("Again", (Quote,), {}, lambda namespace: namespace.update(body))


def test_two_record_classes_cannot_be_extended_at_once() -> None:
    with pytest.raises(MessageError, match="must extend one record class"):
        types.new_class("Both", (Quote, Tick))


# ---- declaring ----


@pytest.mark.parametrize(
    ("annotation", "shown"),
    [
        (str, "str"),
        (int, "int"),
        (float, "float"),
        (list[int], "list"),
        (Any, "Any"),
        (Tick, "Tick"),
        (bytes, "bytes"),
        (Annotated[bytes, 0], "bytes"),
        (Annotated[bytes, True], "bytes"),
        (Annotated[bytes, 4, 5], "bytes"),
        (Annotated[str, 8], "str"),
        (Annotated[list[float], Array(f64, 2)], "list"),
        (Annotated[int, "not a layout"], "int"),
        (f64 | None, "float"),
    ],
)
def test_an_annotation_without_a_layout_is_refused_with_the_possible_ones(annotation: Any, shown: str) -> None:
    with pytest.raises(MessageError, match=rf"Made\.field: .*{shown}.* has no fixed layout; possible are u8 .* Array"):
        record_class(field=annotation)


def test_an_annotation_that_cannot_be_evaluated_is_refused() -> None:
    with pytest.raises(MessageError, match="annotations of Made cannot be evaluated: name 'unknown'"):
        record_class(field="unknown")


@pytest.mark.parametrize("name", ["a:b", "", "__class__", 5])
def test_a_name_that_is_no_field_name_is_refused(name: Any) -> None:
    with pytest.raises(MessageError):
        types.new_class("Made", (Record,), {}, lambda body: body.update(__annotations__={name: u8}))


def test_a_record_without_fields_is_refused() -> None:
    with pytest.raises(MessageError, match="Made has no fields: annotate at least one"):
        record_class()


def test_a_record_of_more_than_4_gib_is_refused() -> None:
    with pytest.raises(MessageError, match="Made must have at most 4294967295 bytes, got 4294967296"):
        record_class(field=Annotated[bytes, 2**32])


def test_a_default_that_does_not_fit_is_refused_where_the_class_is_declared() -> None:
    with pytest.raises(MessageError, match=r"the default of .*Bad\.lots must be in 0\.\.255, got 256"):

        class Bad(Record):
            lots: u8 = 256


def test_array_wants_a_number_type_and_a_positive_length() -> None:
    for element in (float, str, Annotated[bytes, 4], Annotated[tuple[float, ...], Array(f64, 2)]):
        with pytest.raises(MessageError, match="element of an Array must be one of u8"):
            Array(element, 3)
    for length in (0, -1, 2.0, True, "3"):
        with pytest.raises(MessageError, match="length of an Array must be an int >= 1"):
            Array(u8, length)
    assert repr(Array(f64, 5)) == "Array(f64, 5)"
    assert Array(f64, 5) == Array(f64, 5) != Array(f64, 6)
    assert hash(Array(f64, 5)) == hash(Array(f64, 5))


class Slotted:
    __slots__ = ("extra",)


class WithDict:
    pass


class Pure:
    __slots__ = ()

    def twice(self) -> Any:
        return self.price * 2


@pytest.mark.parametrize("slots", [("extra",), ("__dict__",), ("__weakref__",)])
def test_slots_are_refused(slots: tuple[str, ...]) -> None:
    with pytest.raises(MessageError, match="Made would have a __dict__, __slots__ or weak references"):
        types.new_class("Made", (Tick,), {}, lambda body: body.update(__slots__=slots))


def test_a_mixin_that_brings_attributes_is_refused() -> None:
    for mixin in (WithDict, Slotted):
        with pytest.raises((MessageError, TypeError)):
            types.new_class("Made", (mixin, Tick))
    with pytest.raises(MessageError):
        type(Tick)("Made", (Tick,), {})  # no __prepare__, so no __slots__


def test_a_mixin_of_methods_is_fine() -> None:
    class Mixed(Pure, Tick):
        pass

    assert Mixed(4).twice() == 8


def test_a_finalizer_is_refused() -> None:
    with pytest.raises(MessageError, match="must not define __del__"):

        class Ending(Tick):
            def __del__(self) -> None: ...


def test_the_metaclass_takes_record_classes_only() -> None:
    for base in (object, list, int):
        with pytest.raises(MessageError, match="must extend Record"):
            RecordType("Made", (base,), {"__slots__": ()})


def test_a_record_class_is_initialised_once() -> None:
    with pytest.raises(TypeError, match="Tick is initialised already"):
        RecordType.__init__(Tick, "Tick", (Record,), {})
    assert Tick(5).price == 5


def test_instances_have_no_dict_and_no_weak_references() -> None:
    tick: Any = Tick(1)
    assert not hasattr(tick, "__dict__")
    with pytest.raises(AttributeError):
        tick.extra = 1
    with pytest.raises(TypeError):
        weakref.ref(tick)
