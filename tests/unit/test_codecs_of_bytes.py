"""Codecs that hand on an object's own bytes, pickle, and the user's own: there and back, owners, what is refused."""

from __future__ import annotations

import ctypes
import functools
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from nanobus.bus.codec import find_codec
from nanobus.errors import DecodeError, EncodeError, MessageError
from nanobus.messages import message


def there_and_back(sent: Any) -> Any:
    codec = find_codec(type(sent))
    return codec.decode_payload(codec.encode_message(sent))


def check_cut_payloads_are_refused(sent: Any) -> None:
    codec = find_codec(type(sent))
    payload = codec.encode_message(sent)
    for size in range(len(payload)):
        with pytest.raises(DecodeError, match=f"cannot decode {size} bytes"):
            codec.decode_payload(payload[:size])


class Leg(ctypes.Structure):
    _fields_ = (("price", ctypes.c_double), ("amount", ctypes.c_int32 * 3))


@message(id=6)
class Spread(ctypes.Structure):
    _fields_ = (("legs", Leg * 2), ("flags", ctypes.c_uint8, 3), ("name", ctypes.c_char * 5))


class Number(ctypes.Union):
    _fields_ = (("whole", ctypes.c_int64), ("real", ctypes.c_double))


message(Number, id=7)

TICK = np.dtype([("time", "M8[ns]"), ("price", ">f8", (2,)), ("symbol", "S3")], align=True)


@message(id=8, codec=TICK)
class Ticks(np.ndarray):
    pass


@message(id=9)
class Blob(bytes):
    pass


message(bytes, id=10)


@message(id=11, codec="pickle")
class Anything:
    def __init__(self, content: Any) -> None:
        self.content = content


# ----------------------------------------------------------------------------------------------------- ctypes


@given(price=st.floats(allow_nan=False), amounts=st.tuples(*[st.integers(-(2**31), 2**31 - 1)] * 3))
def test_ctypes_structure_comes_back_equal(price: float, amounts: tuple[int, int, int]) -> None:
    sent = Spread((Leg(price, amounts), Leg(-price, amounts)), 5, b"ACME")
    received = there_and_back(sent)
    assert type(received) is Spread
    assert bytes(received) == bytes(sent)
    assert (received.legs[1].price, tuple(received.legs[0].amount)) == (-price, amounts)
    assert (received.flags, received.name) == (5, b"ACME")


def test_received_ctypes_structure_owns_its_bytes() -> None:
    sent = Number(real=1.0)
    received = there_and_back(sent)
    sent.real = 2.0
    assert received.real == 1.0
    received.whole = 3
    assert received.whole == 3


@pytest.mark.parametrize("size", [0, 7, 9, 16])
def test_ctypes_payload_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(
        DecodeError, match=rf"ctypes codec of Number \(id 7\) cannot decode {size} bytes: the size must be 8"
    ):
        find_codec(Number).decode_payload(bytes(size))


def test_big_endian_structure_comes_back_equal() -> None:
    class Network(ctypes.BigEndianStructure):
        _fields_ = (("port", ctypes.c_uint16),)

    message(Network, id=50)
    assert find_codec(Network).encode_message(Network(0x0102)) == b"\1\2"
    assert there_and_back(Network(0x0102)).port == 0x0102


def test_structure_without_fields_is_a_signal() -> None:
    class Signal(ctypes.Structure):
        _fields_ = ()

    message(Signal, id=51)
    assert find_codec(Signal).encode_message(Signal()) == b""
    assert type(there_and_back(Signal())) is Signal


def test_structure_whose_fields_come_later_is_refused() -> None:
    class Opaque(ctypes.Structure):
        pass

    with pytest.raises(MessageError, match="Opaque has no _fields_ yet"):
        message(Opaque, id=52)


class PointerType(ctypes.c_void_p):
    pass


@pytest.mark.parametrize(
    "kind",
    [
        ctypes.c_void_p,
        ctypes.c_char_p,
        ctypes.c_wchar_p,
        ctypes.py_object,
        ctypes.POINTER(ctypes.c_int),
        ctypes.CFUNCTYPE(None),
        PointerType,
    ],
)
def test_ctypes_field_that_holds_an_address_is_refused_however_deep(kind: Any) -> None:
    class Inner(ctypes.Structure):
        _fields_ = (("fine", ctypes.c_int), ("address", kind))

    class Outer(ctypes.Structure):
        _fields_ = (("inner", (Inner * 2) * 3),)

    derived = type("Derived", (Inner,), {"_fields_": [("more", ctypes.c_int)]})
    name = kind.__name__
    with pytest.raises(MessageError, match=rf"Inner\.address is a {name}: an address means nothing"):
        message(Inner, id=53)
    with pytest.raises(MessageError, match=rf"Outer\.inner\[\]\[\]\.address is a {name}: an address means nothing"):
        message(Outer, id=53)
    with pytest.raises(MessageError, match=rf"Derived\.address is a {name}: an address means nothing"):
        message(derived, id=53)


# ------------------------------------------------------------------------------------------------------ numpy


def ticks(count: int) -> Any:
    made = np.zeros(count, TICK)
    made["time"] = np.arange(count).astype("M8[ns]")
    made["price"] = np.arange(2 * count).reshape(count, 2)
    made["symbol"] = b"abc"
    return made.view(Ticks)


@given(count=st.integers(0, 100))
def test_array_comes_back_equal_and_one_dimensional(count: int) -> None:
    received = there_and_back(ticks(count))
    assert type(received) is Ticks
    assert received.dtype == TICK
    assert received.shape == (count,)
    assert np.array_equal(received, ticks(count))


def test_received_array_is_read_only_and_owns_its_bytes() -> None:
    sent = ticks(3)
    received = there_and_back(sent)
    sent["price"] = 0
    assert np.array_equal(received, ticks(3))
    with pytest.raises(ValueError, match="read-only"):
        received["price"] = 0


@pytest.mark.parametrize(
    ("wrong", "text"),
    [
        (lambda: np.zeros(3).view(Ticks), "the dtype must be .*, got float64"),
        (lambda: ticks(4).reshape(2, 2), r"the array must have one dimension, got shape \(2, 2\)"),
        (lambda: ticks(1).reshape(()), r"one dimension, got shape \(\)"),
        (lambda: ticks(4)[::2], r"the array must be C-contiguous, got strides"),
        (lambda: ticks(4)[::-1], r"the array must be C-contiguous, got strides"),
    ],
)
def test_array_of_another_layout_is_refused_when_sent(wrong: Any, text: str) -> None:
    with pytest.raises(EncodeError, match=text) as caught:
        find_codec(Ticks).encode_message(wrong())
    assert isinstance(caught.value.__cause__, ValueError)


@pytest.mark.parametrize("size", [1, TICK.itemsize - 1, TICK.itemsize + 1])
def test_array_payload_with_half_an_element_is_refused(size: int) -> None:
    with pytest.raises(DecodeError, match=r"numpy codec of Ticks \(id 8\)"):
        find_codec(Ticks).decode_payload(bytes(size))


@pytest.mark.parametrize(
    ("dtype", "text"),
    [
        (np.dtype(object), "must hold no Python objects, got object"),
        (np.dtype([("a", "f8"), ("b", [("c", "O")])]), "must hold no Python objects"),
        (np.dtype(("f8", (3,))), "must be no array itself"),
        (np.dtype("S"), "must have a size"),
        (np.dtype([]), "must have a size"),
    ],
)
def test_dtype_that_is_not_bytes_of_one_size_is_refused(dtype: Any, text: str) -> None:
    class Column(np.ndarray):
        pass

    with pytest.raises(MessageError, match=f"the dtype of .*Column {text}"):
        message(Column, id=60, codec=dtype)


@pytest.mark.parametrize("unfit", [np.ndarray, bytes, np.float64, dict])
def test_dtype_needs_a_subclass_of_ndarray(unfit: type) -> None:
    with pytest.raises(MessageError, match=f"takes a subclass of np.ndarray, {unfit.__qualname__} is none"):
        message(unfit, id=60, codec=np.dtype("f8"))


@pytest.mark.parametrize("unfit", [np.ma.MaskedArray, np.recarray, np.memmap, np.matrix])
def test_arrays_that_are_more_than_their_elements_are_refused(unfit: type) -> None:
    derived = type("Derived", (unfit,), {})
    with pytest.raises(MessageError, match=rf"derived from np\.ndarray itself, Derived derives from {unfit.__name__}"):
        message(derived, id=60, codec=np.dtype("f8"))


def test_array_class_without_a_dtype_is_told_to_give_one() -> None:
    class Column(np.ndarray):
        pass

    with pytest.raises(MessageError, match=r"codec=np\.dtype\(\.\.\.\) for a subclass of np\.ndarray"):
        message(Column, id=60)


# -------------------------------------------------------------------------------------------------------- raw


@given(st.binary())
def test_bytes_are_handed_on_as_they_are(payload: bytes) -> None:
    received = there_and_back(payload)
    assert type(received) is bytes
    assert received == payload


@given(st.binary())
def test_subclass_of_bytes_comes_back_as_itself(payload: bytes) -> None:
    received = there_and_back(Blob(payload))
    assert type(received) is Blob
    assert received == payload


# ----------------------------------------------------------------------------------------------------- pickle


def test_pickled_object_comes_back() -> None:
    received = there_and_back(Anything({"deep": [1, (2, 3)]}))
    assert type(received) is Anything
    assert received.content == {"deep": [1, (2, 3)]}


def test_pickle_that_was_cut_is_refused() -> None:
    check_cut_payloads_are_refused(Anything([1, 2, 3]))


def test_class_inside_a_function_cannot_be_pickled() -> None:
    class Local:
        pass

    with pytest.raises(MessageError, match=r"pickle takes a class that can be imported by its name, .*Local is inside"):
        message(Local, id=70, codec="pickle")


def test_content_that_cannot_be_pickled_is_an_encode_error() -> None:
    with pytest.raises(EncodeError, match=r"pickle codec of Anything \(id 11\) cannot encode Anything: .*lambda"):
        find_codec(Anything).encode_message(Anything(lambda: None))


# ------------------------------------------------------------------------------------------- the user's own


class Faulty:
    def encode(self, _message: Any) -> bytes:
        raise KeyError("no field")

    def decode(self, _payload: bytes) -> Any:
        raise KeyError("no byte")


class TextCodec:
    def encode(self, sent: Any) -> Any:
        return str(sent)

    def decode(self, payload: bytes) -> Any:
        return payload


def test_codec_that_raises_gives_a_named_error_with_its_own_as_the_cause() -> None:
    class Word(str):
        __slots__ = ()

    codec = find_codec(message(Word, id=80, codec=Faulty()))
    with pytest.raises(
        EncodeError, match=r"Faulty codec of .*Word \(id 80\) cannot encode .*Word: 'no field'"
    ) as sending:
        codec.encode_message(Word("x"))
    assert isinstance(sending.value.__cause__, KeyError)
    with pytest.raises(
        DecodeError, match=r"Faulty codec of .*Word \(id 80\) cannot decode 3 bytes: 'no byte'"
    ) as reading:
        codec.decode_payload(b"abc")
    assert isinstance(reading.value.__cause__, KeyError)


def test_codec_that_encodes_to_no_bytes_gives_an_encode_error() -> None:
    class Word(str):
        __slots__ = ()

    with pytest.raises(EncodeError, match="a bytes-like object is required, not 'str'"):
        find_codec(message(Word, id=81, codec=TextCodec())).encode_message(Word("x"))


@pytest.mark.parametrize("container", [bytes, bytearray, memoryview, functools.partial(np.frombuffer, dtype="u1")])
def test_codec_may_encode_to_anything_bytes_like(container: Any) -> None:
    class AnyBuffer(TextCodec):
        def encode(self, sent: Any) -> Any:
            return container(sent.encode())

    class Word(str):
        __slots__ = ()

    assert find_codec(message(Word, id=82, codec=AnyBuffer())).encode_message(Word("abc")) == b"abc"
