"""What the fields of a Record may be: fixed-size numbers, `Annotated[bytes, n]`, and fixed arrays of numbers.

    name           Python   C           bytes        name     Python   C           bytes
    u8  .. u64     int      uint8_t ..  1 2 4 8      f32      float    float       4
    i8  .. i64     int      int8_t ..   1 2 4 8      f64      float    double      8
                                                     boolean  bool     _Bool       1

Each name is an `Annotated` alias of its Python type, so that a type checker sees `int`, `float` or `bool`.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, Any, get_args

from nanobus.errors import MessageError


@dataclass(frozen=True, slots=True)
class Scalar:
    """One number, little endian, aligned to its own size.

    Attributes
    ----------
    name : str
        What users write: `"f64"`.
    code : str
        Its character in `struct` formats and PEP 3118: `"d"`.
    size : int
        Bytes.
    """

    name: str
    code: str
    size: int


u8 = Annotated[int, Scalar("u8", "B", 1)]
u16 = Annotated[int, Scalar("u16", "H", 2)]
u32 = Annotated[int, Scalar("u32", "I", 4)]
u64 = Annotated[int, Scalar("u64", "Q", 8)]
i8 = Annotated[int, Scalar("i8", "b", 1)]
i16 = Annotated[int, Scalar("i16", "h", 2)]
i32 = Annotated[int, Scalar("i32", "i", 4)]
i64 = Annotated[int, Scalar("i64", "q", 8)]
f32 = Annotated[float, Scalar("f32", "f", 4)]
f64 = Annotated[float, Scalar("f64", "d", 8)]
boolean = Annotated[bool, Scalar("boolean", "?", 1)]

SCALAR_NAMES = "u8 u16 u32 u64 i8 i16 i32 i64 f32 f64 boolean"


class Array:
    """Mark a tuple field as a fixed array: `levels: Annotated[tuple[float, ...], Array(f64, 5)]`.

    Parameters
    ----------
    element : one of the number types above
        What each item is.
    length : int
        Number of items, at least 1.

    Raises
    ------
    MessageError
        The element is no number type, or the length no positive int.
    """

    __slots__ = ("element", "length")

    element: Scalar
    length: int

    def __init__(self, element: Any, length: int) -> None:
        scalars = [mark for mark in get_args(element)[1:] if isinstance(mark, Scalar)]
        if len(scalars) != 1:
            raise MessageError(f"the element of an Array must be one of {SCALAR_NAMES}, got {element!r}")
        if isinstance(length, bool) or not isinstance(length, int) or length < 1:
            raise MessageError(f"the length of an Array must be an int >= 1, got {length!r}")
        self.element = scalars[0]
        self.length = length

    def __repr__(self) -> str:
        return f"Array({self.element.name}, {self.length})"

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Array) and (self.element, self.length) == (other.element, other.length)

    def __hash__(self) -> int:
        return hash((self.element, self.length))
