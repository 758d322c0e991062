"""Layouts of numbers at offsets: Records, ctypes structures, numpy dtypes.

A type is written as JSON:

    "f64", ">u16"                                       a number; ">" is big endian
    "bytes[8]"                                          text of at most 8 bytes, padded with zeros
    "utf32[4]"                                          4 code points, padded with zeros
    "opaque[16]"                                        bytes without a meaning known here
    "datetime64[ns]", "timedelta64[ns]"                 an i64 that counts these units; the smallest is null
    {"items": type, "length": 5}                        a fixed array
    {"bits": 3, "shift": 2, "of": "u8"}                 a bit field: `bits` bits of a number, from bit `shift` on
    {"size": 24, "fields": [{"name", "offset", "type"}]}    a struct or union; offsets and size in bytes
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

Struct = dict[str, Any]
PackedType = str | dict[str, Any]
Reader = Callable[[bytes, int], Any]  # payload, offset -> value

CODES = {
    "u8": "B", "u16": "H", "u32": "I", "u64": "Q",
    "i8": "b", "i16": "h", "i32": "i", "i64": "q",
    "f16": "e", "f32": "f", "f64": "d", "boolean": "?",
}  # fmt: skip
NOT_A_TIME = -(2**63)
NAMES = {code: name for name, code in CODES.items()}

LEAF = re.compile(r"(>?)(?:([uif]\d+|boolean)|(datetime64|timedelta64)\[[^\]]*\]|(bytes|utf32|opaque)\[(\d{1,10})\])")
RECORD_FORMAT = re.compile(r"(?:\((\d+)\))?<?(\D)|(\d+)s")


def record_struct_of(record_class: Any, size: int) -> Struct:
    """Describe a Record class of `size` bytes."""
    fields = [
        {"name": name, "offset": offset, "type": type_of_format(format_)}
        for name, format_, offset, _ in record_class.__layout__
    ]
    return {"size": size, "fields": fields}


def type_of_format(format_: str) -> PackedType:
    """Describe a field of a Record by its PEP 3118 format: `<d`, `(5)<d`, `8s`."""
    match = RECORD_FORMAT.fullmatch(format_)
    if match is None:
        raise ValueError(f"{format_!r} is no format of a Record's field")
    length, code, bytes_length = match.groups()
    if bytes_length:
        return f"bytes[{bytes_length}]"
    return {"items": NAMES[code], "length": int(length)} if length else NAMES[code]


def ctypes_struct_of(structure: Any) -> Struct:
    """Describe a ctypes.Structure or ctypes.Union."""
    import ctypes

    fields = {}  # by name: a structure may have a field of a base's name, and hides it
    for base in reversed(structure.__mro__):
        for name, kind, *bits in vars(base).get("_fields_", ()):
            place = vars(base)[name]
            inside = ctypes_type_of(kind)
            # ctypes reads and writes the whole byte of a c_bool, whatever number of bits it was given. It packs the
            # place of other bits into one int: how many in the upper half, from which on in the lower.
            if bits and inside != "boolean":
                inside = {"bits": bits[0], "shift": place.size & 0xFFFF, "of": inside}
            fields[name] = {"name": name, "offset": place.offset, "type": inside}
    return {"size": ctypes.sizeof(structure), "fields": list(fields.values())}


def ctypes_type_of(ctype: Any) -> PackedType:
    """Describe a ctypes type."""
    import ctypes

    if issubclass(ctype, (ctypes.Structure, ctypes.Union)):
        return ctypes_struct_of(ctype)
    if issubclass(ctype, ctypes.Array):
        if ctype._type_ is ctypes.c_char:
            return f"bytes[{ctype._length_}]"
        if ctype._type_ is ctypes.c_wchar and ctypes.sizeof(ctypes.c_wchar) == 4:
            return f"utf32[{ctype._length_}]"
        return {"items": ctypes_type_of(ctype._type_), "length": ctype._length_}
    big = getattr(ctype, "__ctype_be__", None) is ctype and getattr(ctype, "__ctype_le__", None) is not ctype
    return leaf_of_code(ctype._type_, ctypes.sizeof(ctype), ">" if big else "")


def leaf_of_code(code: str, size: int, order: str) -> str:
    """Describe a simple ctypes type: the letters say the kind, the size says how wide `long` is on this machine."""
    if code == "c":
        return "bytes[1]"
    if code == "u" and size == 4:
        return f"{order}utf32[1]"
    if code == "?":
        return "boolean"
    kind = "u" if code in "BHILQ" else "i" if code in "bhilq" else "f" if code in "fd" else ""
    return f"{order if size > 1 else ''}{kind}{8 * size}" if kind else f"opaque[{size}]"


def numpy_type_of(dtype: Any) -> PackedType:
    """Describe a numpy dtype."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        described = numpy_type_of(base)
        for length in reversed(shape):
            described = {"items": described, "length": length}
        return described
    if dtype.fields is not None:
        places = ((name, dtype.fields[name]) for name in dtype.names)
        fields = [{"name": name, "offset": at[1], "type": numpy_type_of(at[0])} for name, at in places]
        return {"size": dtype.itemsize, "fields": fields}
    order = ">" if dtype.str[0] == ">" else ""
    kind, size = dtype.kind, dtype.itemsize
    if kind == "b":
        return "boolean"
    if kind == "S":
        return f"bytes[{size}]"
    if kind == "U":
        return f"{order}utf32[{size // 4}]"
    if kind in "mM":
        return order + dtype.name if "[" in dtype.name else f"{order}{dtype.name}[generic]"
    if kind == "c" and size in (8, 16):
        part = f"{order}f{4 * size}"
        fields = [{"name": "real", "offset": 0, "type": part}, {"name": "imag", "offset": size // 2, "type": part}]
        return {"size": size, "fields": fields}
    name = f"{kind}{8 * size}"
    return order + name if name in CODES else f"opaque[{size}]"


def text_of(described: PackedType) -> str:
    """Write a type as people do: `f64[5]`, `{price: f64 at 0}`."""
    if isinstance(described, str):
        return described
    if "items" in described:
        return f"{text_of(described['items'])}[{described['length']}]"
    if "bits" in described:
        return f"{described['of']} bits {described['shift']}..{described['shift'] + described['bits'] - 1}"
    fields = (f"{field['name']}: {text_of(field['type'])} at {field['offset']}" for field in described["fields"])
    return f"{{{', '.join(fields)}; {described['size']} bytes}}"


def reader_of(described: PackedType) -> tuple[int, Reader]:
    """Make the function that reads a value of this type; return its size in bytes, too.

    Raises
    ------
    ValueError
        This describes no type; the text says why.
    """
    if isinstance(described, str):
        return leaf_reader_of(described)
    if not isinstance(described, dict):
        raise ValueError(f"a type must be a text or an object, got {described!r}")
    match described:
        case {"items": items, "length": int(length)} if length >= 0:
            return array_reader_of(items, length)
        case {"bits": int(bits), "shift": int(shift), "of": str(of)} if bits > 0 and shift >= 0:
            return bits_reader_of(bits, shift, of)
        case {"size": int(size), "fields": list(fields)} if size >= 0:
            return size, struct_reader_of(size, fields)
    raise ValueError(f"a type must be an array, a bit field or a struct, got an object of {', '.join(described)}")


def leaf_reader_of(leaf: str) -> tuple[int, Reader]:
    match = LEAF.fullmatch(leaf)
    if match is None or (match[2] and match[2] not in CODES):
        raise ValueError(f"a type must be one of {', '.join(CODES)}, bytes[n], utf32[n], opaque[n], got {leaf!r}")
    order, number, time, text, length = match.groups()
    if text == "utf32":
        size, encoding = 4 * int(length), "utf-32-be" if order else "utf-32-le"
        return size, lambda payload, at: payload[at : at + size].decode(encoding, "replace").rstrip("\0")
    if text == "bytes":
        size = int(length)
        return size, lambda payload, at: payload[at : at + size].rstrip(b"\0")
    if text == "opaque":
        size = int(length)
        return size, lambda payload, at: payload[at : at + size]
    packed = struct.Struct((order or "<") + CODES[number or "i64"])
    if time:
        return 8, lambda payload, at: count if (count := packed.unpack_from(payload, at)[0]) != NOT_A_TIME else None
    return packed.size, lambda payload, at: packed.unpack_from(payload, at)[0]


def array_reader_of(items: PackedType, length: int) -> tuple[int, Reader]:
    size, read = reader_of(items)
    length = length if size else 0  # however many of nothing a file speaks of, there is nothing to see
    return size * length, lambda payload, at: [read(payload, at + size * index) for index in range(length)]


def bits_reader_of(bits: int, shift: int, of: str) -> tuple[int, Reader]:
    number = of.lstrip(">")
    if number not in CODES or number[0] not in "ui":
        raise ValueError(f"a bit field must be of an integer, got {of!r}")
    size, read = leaf_reader_of(of)
    if shift + bits > 8 * size:
        raise ValueError(f"a bit field must lie within its {of}, got {bits} bits from bit {shift} on")
    mask, sign = (1 << bits) - 1, 1 << (bits - 1)

    def read_bits(payload: bytes, at: int) -> Any:
        value = (read(payload, at) >> shift) & mask
        return value - 2 * sign if number[0] == "i" and value & sign else value

    return size, read_bits


def struct_reader_of(size: int, fields: list[Any]) -> Reader:
    readers: list[tuple[str, int, Reader]] = []
    for field in fields:
        match field:
            case {"name": str(name), "offset": int(offset), "type": described}:
                field_size, read = reader_of(described)
            case _:
                raise ValueError(f"a field must have a name, an offset and a type, got {field!r}")
        if not 0 <= offset <= size - field_size:
            raise ValueError(f"field {name!r} must lie within {size} bytes, got {offset}..{offset + field_size}")
        readers.append((name, offset, read))
    check_names_differ([name for name, _, _ in readers])

    def read_struct(payload: bytes, at: int) -> SimpleNamespace:
        return SimpleNamespace(**{name: read(payload, at + offset) for name, offset, read in readers})

    return read_struct


def check_names_differ(names: list[str]) -> None:
    for first, second in pairwise(sorted(names)):
        if first == second:
            raise ValueError(f"two fields are named {first!r}")
