"""Every field type at its limits: what is read is what was written, and what does not fit changes nothing."""

from __future__ import annotations

import array
import math
import struct
from collections.abc import Callable
from typing import Annotated, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobus.field_types import Array, boolean, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64
from nanobus.records import Record


class Numbers(Record):
    u8: u8
    i64: i64
    u16: u16
    i32: i32
    u32: u32
    i16: i16
    u64: u64
    i8: i8
    f32: f32
    f64: f64
    boolean: boolean


class Arrays(Record):
    u8: Annotated[tuple[int, ...], Array(u8, 3)]
    i64: Annotated[tuple[int, ...], Array(i64, 3)]
    u16: Annotated[tuple[int, ...], Array(u16, 3)]
    i32: Annotated[tuple[int, ...], Array(i32, 3)]
    u32: Annotated[tuple[int, ...], Array(u32, 3)]
    i16: Annotated[tuple[int, ...], Array(i16, 3)]
    u64: Annotated[tuple[int, ...], Array(u64, 3)]
    i8: Annotated[tuple[int, ...], Array(i8, 3)]
    f32: Annotated[tuple[float, ...], Array(f32, 3)]
    f64: Annotated[tuple[float, ...], Array(f64, 3)]
    boolean: Annotated[tuple[bool, ...], Array(boolean, 3)]
    large: Annotated[tuple[float, ...], Array(f64, 1000)]
    text: Annotated[bytes, 6]


BITS = {"u8": 8, "u16": 16, "u32": 32, "u64": 64, "i8": 8, "i16": 16, "i32": 32, "i64": 64}
CODES = {"u8": "B", "u16": "H", "u32": "I", "u64": "Q", "i8": "b", "i16": "h", "i32": "i", "i64": "q"}


def limits(name: str) -> tuple[int, int]:
    bits = BITS[name]
    return (0, 2**bits - 1) if name.startswith("u") else (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1)


class Indexed:
    def __init__(self, value: int) -> None:
        self.value = value

    def __index__(self) -> int:
        return self.value


class Floated:
    def __float__(self) -> float:
        return 2.5


@pytest.mark.parametrize("name", BITS)
@given(sample=st.data())
def test_ints_within_the_limits_are_read_back_and_others_change_nothing(name: str, sample: st.DataObject) -> None:
    lowest, highest = limits(name)
    inside = sample.draw(st.integers(lowest, highest) | st.sampled_from([lowest, highest, 0]))
    outside = sample.draw(st.integers(max_value=lowest - 1) | st.integers(min_value=highest + 1))
    numbers = Numbers()
    setattr(numbers, name, inside)
    assert getattr(numbers, name) == inside
    assert getattr(Numbers(**{name: Indexed(inside)}), name) == inside
    before = bytes(numbers)
    with pytest.raises(ValueError, match=rf"Numbers\.{name} must be in {lowest}\.\.{highest}, got {outside}"):
        setattr(numbers, name, outside)
    assert bytes(numbers) == before


@pytest.mark.parametrize("name", BITS)
def test_the_first_ints_past_the_limits_are_refused(name: str) -> None:
    lowest, highest = limits(name)
    for outside in (lowest - 1, highest + 1, 2**63, 2**64, -(2**63) - 1, -(2**64), 2**200, -(2**200)):
        if lowest <= outside <= highest:
            continue
        with pytest.raises(ValueError, match=rf"Numbers\.{name} must be in"):
            Numbers(**{name: outside})


@pytest.mark.parametrize("name", BITS)
@pytest.mark.parametrize("value", [1.0, "1", None, b"1", [1]])
def test_what_is_no_int_is_refused(name: str, value: Any) -> None:
    with pytest.raises(TypeError, match=rf"Numbers\.{name} must be an int \({name}\), got "):
        Numbers(**{name: value})


@given(value=st.floats() | st.integers(-(10**6), 10**6))
def test_doubles_are_read_back_bit_by_bit(value: float) -> None:
    assert struct.pack("<d", Numbers(f64=value).f64) == struct.pack("<d", value)


@given(value=st.floats(width=32))
def test_floats_are_read_back(value: float) -> None:
    read = Numbers(f32=value).f32
    assert read == value or (math.isnan(read) and math.isnan(value))


@given(value=st.floats(allow_nan=False, allow_infinity=False))
def test_a_double_is_rounded_to_a_float_or_refused_as_struct_does(value: float) -> None:
    try:
        expected = struct.unpack("<f", struct.pack("<f", value))[0]
    except OverflowError:
        with pytest.raises(ValueError, match=r"Numbers\.f32 must fit f32"):
            Numbers(f32=value)
    else:
        assert Numbers(f32=value).f32 == expected


@pytest.mark.parametrize("name", ["f32", "f64"])
def test_what_is_no_number_is_refused(name: str) -> None:
    for value in ("1.0", None, b"1", [1.0], 1j):
        with pytest.raises(TypeError, match=rf"Numbers\.{name} must be a number \({name}\), got "):
            Numbers(**{name: value})
    with pytest.raises(ValueError, match=rf"Numbers\.{name} must fit {name}"):
        Numbers(**{name: 10**400})
    assert getattr(Numbers(**{name: Floated()}), name) == 2.5


def test_booleans_are_true_or_false() -> None:
    assert [Numbers(boolean=value).boolean for value in (True, False, 1, 0)] == [True, False, True, False]
    assert isinstance(Numbers(boolean=1).boolean, bool)
    for value in (2, -1, 2**70, 1.0, "no", None):
        with pytest.raises(TypeError, match=r"Numbers\.boolean must be True or False, got "):
            Numbers(boolean=value)


@given(value=st.binary(max_size=6))
def test_fixed_bytes_are_padded_and_read_back_without_zeros_at_the_end(value: bytes) -> None:
    record = Arrays(text=b"......")
    for given_value in (value, bytearray(value), memoryview(value)):
        record.text = given_value
        assert record.text == value.rstrip(b"\0")


def test_bytes_that_do_not_fit_are_refused() -> None:
    record = Arrays(text=b"before")
    with pytest.raises(ValueError, match=r"Arrays\.text must have at most 6 bytes, got 7"):
        record.text = b"toolong"
    for value in ("text", 5, None, [1]):
        with pytest.raises(TypeError, match=r"Arrays\.text must be bytes, got "):
            record.text = value
    assert record.text == b"before"


@pytest.mark.parametrize("name", BITS)
@given(sample=st.data())
def test_arrays_take_any_sequence_or_the_very_buffer(name: str, sample: st.DataObject) -> None:
    values = sample.draw(st.tuples(*[st.integers(*limits(name))] * 3))
    sources: list[Callable[[tuple[int, ...]], Any]] = [
        tuple,
        list,
        lambda items: array.array(CODES[name], items),
        lambda items: memoryview(array.array(CODES[name], items)),
        lambda items: [Indexed(item) for item in items],
    ]
    for source in sources:
        record = Arrays()
        setattr(record, name, source(values))
        assert getattr(record, name) == values


def test_a_buffer_of_other_items_is_taken_item_by_item() -> None:
    record = Arrays(f64=array.array("f", [1, 2, 3]), u8=array.array("q", [1, 2, 3]), i64=b"abc")
    assert (record.f64, record.u8, record.i64) == ((1.0, 2.0, 3.0), (1, 2, 3), (97, 98, 99))
    with pytest.raises(ValueError, match=r"Arrays\.u8 must be in 0\.\.255, got -1"):
        record.u8 = array.array("b", [1, 2, -1])
    with pytest.raises(ValueError, match=r"Arrays\.i8 must be in -128\.\.127, got 200"):
        record.i8 = bytes([1, 2, 200])
    assert (record.u8, record.i8) == ((1, 2, 3), (0, 0, 0))


def test_a_buffer_that_is_not_contiguous_is_taken_item_by_item() -> None:
    record = Arrays(f64=memoryview(array.array("d", range(6)))[::2])
    assert record.f64 == (0.0, 2.0, 4.0)


@pytest.mark.parametrize("wrong", [(1.0, 2.0), (1.0,) * 4, (), array.array("d", [1, 2]), array.array("d", [1] * 4)])
def test_an_array_of_another_length_is_refused(wrong: Any) -> None:
    record = Arrays(f64=(1, 2, 3))
    with pytest.raises(ValueError, match=rf"Arrays\.f64 must have 3 items, got {len(wrong)}"):
        record.f64 = wrong
    assert record.f64 == (1.0, 2.0, 3.0)


@pytest.mark.parametrize("wrong", [5, None, "abc", {1, 2, 3}, {1: 1, 2: 2, 3: 3}, iter((1, 2, 3))])
def test_an_array_wants_a_sequence(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"Arrays\.f64 must be a sequence of 3 numbers, got "):
        Arrays(f64=wrong)


def test_an_array_with_one_wrong_item_changes_nothing() -> None:
    record = Arrays(i16=(1, 2, 3), boolean=(True, False, True), large=range(1000))
    before = bytes(record)
    for name, wrong in {
        "i16": (4, 5, 2**15),
        "boolean": (False, True, 2),
        "large": [*range(999), "x"],
        "f32": (1, 2, 1e300),
    }.items():
        with pytest.raises((ValueError, TypeError), match=rf"Arrays\.{name} must"):
            setattr(record, name, wrong)
    assert bytes(record) == before
    assert record.large == tuple(map(float, range(1000)))


def test_an_item_that_changes_the_record_while_it_is_converted_does_no_harm() -> None:
    record = Arrays()

    class Meddling:
        def __index__(self) -> int:
            record.i16 = (7, 7, 7)
            return 1

    record.i16 = [Meddling(), 2, 3]
    assert record.i16 == (1, 2, 3)
