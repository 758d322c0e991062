"""Declaring messages: what a class, an id and a codec must be, and what an error says of them."""

from __future__ import annotations

import enum
import subprocess
import sys
import textwrap
from typing import Any

import numpy as np
import pytest

from nanobus.bus.codec import ObjectCodec, find_codec
from nanobus.errors import MessageError
from nanobus.messages import message

msgspec = pytest.importorskip("msgspec")


class Reversed:
    """A codec of the user's own."""

    def encode(self, text: Any) -> bytes:
        return str(text)[::-1].encode()

    def decode(self, payload: bytes) -> Any:
        return payload.decode()[::-1]


def run_python(script: str) -> None:
    finished = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120, check=False
    )
    assert finished.returncode == 0, finished.stderr


def test_decorated_class_is_returned_unchanged_and_has_a_codec() -> None:
    class Quote(msgspec.Struct):
        bid: float

    assert message(id=7)(Quote) is Quote
    codec = find_codec(Quote)
    assert (codec.message_type, codec.message_id, codec.name) == (Quote, 7, "msgspec")


def test_generated_class_is_declared_by_a_call() -> None:
    generated = type("Generated", (bytes,), {})
    assert message(generated, id=7) is generated
    assert find_codec(generated).message_id == 7


def test_member_of_an_int_enum_is_an_id() -> None:
    class Ids(enum.IntEnum):
        QUOTE = 0xFEFF

    @message(id=Ids.QUOTE)
    class Quote(bytes):
        pass

    assert find_codec(Quote).message_id == 0xFEFF
    assert type(find_codec(Quote).message_id) is int


def test_zero_is_an_id() -> None:
    assert find_codec(message(type("Zero", (bytes,), {}), id=0)).message_id == 0


@pytest.mark.parametrize("wrong", [-1, 0xFF00, 1 << 70])
def test_id_out_of_range_is_named(wrong: int) -> None:
    with pytest.raises(ValueError, match=rf"a message id must be in 0\.\.0xfeff, got {wrong}"):
        message(type("Quote", (bytes,), {}), id=wrong)


@pytest.mark.parametrize("wrong", [True, 7.0, "7", None])
def test_id_that_is_no_int_is_named(wrong: Any) -> None:
    with pytest.raises(TypeError, match=f"a message id must be an int or IntEnum member, got {wrong!r}"):
        message(type("Quote", (bytes,), {}), id=wrong)


def test_wrong_id_is_refused_before_the_class_is_known() -> None:
    with pytest.raises(ValueError, match="message id must be in"):
        message(id=0xFFFF)


@pytest.mark.parametrize("wrong", [lambda: None, 7, "Quote", list[int]])
def test_what_is_no_class_is_named(wrong: Any) -> None:
    with pytest.raises(MessageError, match="a message must be a class, got "):
        message(wrong, id=7)
    with pytest.raises(MessageError, match="a message must be a class, got "):
        message(id=7)(wrong)


def test_class_with_two_ids_is_refused_and_keeps_the_first() -> None:
    class Quote(bytes):
        pass

    message(Quote, id=7)
    with pytest.raises(MessageError, match=r"Quote is message 7 \(raw\) already, it cannot be 8 \(raw\) as well"):
        message(Quote, id=8)
    assert find_codec(Quote).message_id == 7


def test_class_with_two_codecs_is_refused() -> None:
    class Quote(bytes):
        pass

    message(Quote, id=7)
    with pytest.raises(MessageError, match=r"Quote is message 7 \(raw\) already, it cannot be 7 \(Reversed\) as well"):
        message(Quote, id=7, codec=Reversed())


def test_same_declaration_may_be_repeated() -> None:
    class Quote(bytes):
        pass

    message(Quote, id=7)
    codec = find_codec(Quote)
    message(Quote, id=7)
    assert find_codec(Quote) is codec


def test_subclass_of_a_message_is_no_message() -> None:
    @message(id=7)
    class Quote(msgspec.Struct):
        bid: float

    class FastQuote(Quote):
        pass

    with pytest.raises(MessageError, match=r"FastQuote'> is not a message: declare it with @message\(id=...\)"):
        find_codec(FastQuote)


def test_class_without_a_codec_is_told_all_that_is_possible() -> None:
    class Plain:
        pass

    with pytest.raises(MessageError) as caught:
        message(Plain, id=7)
    text = str(caught.value)
    assert text.startswith(
        "test_class_without_a_codec_is_told_all_that_is_possible.<locals>.Plain has no codec: a message is a Record, "
    )
    for possible in (
        "bytes",
        "ctypes.Structure",
        "protobuf",
        "pydantic",
        "msgspec.Struct, dataclass or attrs class",
        "codec=np.dtype(...) for a subclass of np.ndarray",
        "codec='pickle' for a class that can be imported by its name (never taken unasked)",
        "an object with encode and decode",
        "stands below @message",
    ):
        assert possible in text


@pytest.mark.parametrize("unfit", [bytearray, memoryview, str, dict, np.ndarray, object])
def test_pickle_is_never_taken_unasked(unfit: type) -> None:
    with pytest.raises(MessageError, match="has no codec"):
        message(unfit, id=7)


def test_unknown_codec_name_is_answered_with_the_known_ones() -> None:
    known = "'record', 'raw', 'ctypes', 'protobuf', 'pydantic', 'msgspec', 'pickle'"
    with pytest.raises(ValueError, match=f"codec must be one of {known}, got 'json'"):
        message(type("Quote", (bytes,), {}), id=7, codec="json")


@pytest.mark.parametrize(
    ("name", "fits"),
    [
        ("raw", "bytes or a subclass of it"),
        ("ctypes", "a ctypes.Structure or ctypes.Union"),
        ("protobuf", "a generated protobuf class"),
        ("pydantic", "a pydantic model or pydantic dataclass"),
        ("msgspec", "a msgspec.Struct, dataclass or attrs class"),
        ("record", "a Record"),
    ],
)
def test_named_codec_that_does_not_fit_says_what_does(name: str, fits: str) -> None:
    class Plain:
        pass

    with pytest.raises(MessageError, match=f"codec '{name}' takes {fits}, .*Plain is none"):
        message(Plain, id=7, codec=name)


def test_named_codec_that_fits_is_taken() -> None:
    assert find_codec(message(type("Quote", (bytes,), {}), id=7, codec="raw")).name == "raw"


def test_numpy_by_name_asks_for_the_dtype() -> None:
    with pytest.raises(ValueError, match=r"numpy codec needs to know the dtype: codec=np\.dtype\(\.\.\.\)"):
        message(type("Ticks", (np.ndarray,), {}), id=7, codec="numpy")


def test_codec_of_the_users_own_is_used() -> None:
    class Word(str):
        __slots__ = ()

    message(Word, id=7, codec=Reversed())
    codec = find_codec(Word)
    assert codec.name == "Reversed"
    assert len(codec.fingerprint) == 16
    assert codec.encode_message(Word("abc")) == b"cba"
    assert codec.decode_payload(b"cba") == "abc"


def test_codec_of_the_users_own_may_tell_its_name_and_fingerprint() -> None:
    class Named(Reversed):
        name = "backwards"
        fingerprint = "v2"

    class Word(str):
        __slots__ = ()

    message(Word, id=7, codec=Named())
    assert (find_codec(Word).name, find_codec(Word).fingerprint) == ("backwards", "v2")


@pytest.mark.parametrize("attribute", ["name", "fingerprint"])
def test_codec_whose_name_or_fingerprint_is_no_str_is_refused(attribute: str) -> None:
    codec = Reversed()
    setattr(codec, attribute, 3)
    with pytest.raises(TypeError, match=f"the {attribute} of a codec must be a str, got 3"):
        message(type("Word", (str,), {}), id=7, codec=codec)


@pytest.mark.parametrize("wrong", [3, b"raw", object(), Reversed, msgspec.msgpack.Encoder()])
def test_codec_that_is_none_is_named(wrong: Any) -> None:
    with pytest.raises(TypeError, match=r"codec must be a name, a numpy dtype or an object with encode.*, got "):
        message(type("Word", (str,), {}), id=7, codec=wrong)


def test_class_with_a_record_codec_makes_its_own() -> None:
    class Quote:
        @classmethod
        def __record_codec__(cls, message_id: int) -> ObjectCodec:
            return ObjectCodec(cls, message_id, "record", "fixed")

    message(Quote, id=7)
    assert (find_codec(Quote).name, find_codec(Quote).message_id) == ("record", 7)
    assert message(Quote, id=7, codec="record") is Quote


def test_declaring_raw_bytes_imports_no_optional_library() -> None:
    run_python(
        """
        import sys
        before = set(sys.modules)
        import nanobus
        started = set(sys.modules)
        from nanobus.messages import message
        message(bytes, id=9)
        for library in ("msgspec", "numpy", "google.protobuf", "pydantic", "pydantic_core", "attr", "attrs"):
            assert library not in set(sys.modules) - before, library
        for library in ("pickle", "ctypes", "dataclasses"):
            assert library not in set(sys.modules) - started, library
        """
    )


def test_declaring_a_ctypes_structure_imports_no_optional_library() -> None:
    run_python(
        """
        import ctypes
        import sys
        from nanobus.messages import message
        @message(id=1)
        class Point(ctypes.Structure):
            _fields_ = [("x", ctypes.c_int)]
        for library in ("msgspec", "numpy", "google.protobuf", "pydantic", "attr"):
            assert library not in sys.modules, library
        """
    )


def test_dataclass_without_msgspec_is_told_how_to_get_it() -> None:
    run_python(
        """
        import sys
        sys.modules["msgspec"] = None           # as if it were not installed
        from dataclasses import dataclass
        from nanobus.errors import MessageError
        from nanobus.messages import message
        @dataclass
        class Quote:
            bid: float
        try:
            message(Quote, id=1)
        except MessageError as error:
            assert str(error) == "Quote needs msgspec: pip install 'nanobus[msgspec]'", error
            assert isinstance(error.__cause__, ImportError)
        else:
            raise AssertionError("declared without msgspec")
        """
    )
