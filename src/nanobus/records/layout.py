"""From the annotations of a Record to the layout a C compiler would give the struct.

Every field starts at the next multiple of its alignment, which is the size of its number; the struct ends at the next
multiple of its largest alignment, so that an array of it stays aligned. No alignment is larger than 8.

    class Quote(Record):                 struct quote {                offset  size
        side: u8                             uint8_t side;                  0     1
        symbol: Annotated[bytes, 6]          char symbol[6];                1     6
                                             /* padding */                  7     1
        bid: f64                             double bid;                    8     8
        lots: u16                            uint16_t lots;                16     2
                                             /* padding */                 18     6
                                         };                                24
"""

from __future__ import annotations

import inspect
from collections.abc import Sequence
from typing import Annotated, Any, ClassVar, NamedTuple, get_args, get_origin, get_type_hints

from nanobus.errors import MessageError
from nanobus.field_types import SCALAR_NAMES, Array, Scalar

LARGEST_RECORD = 0xFFFF_FFFF
POSSIBLE_TYPES = f"{SCALAR_NAMES}, Annotated[bytes, n], Annotated[tuple[float, ...], Array(f64, n)]"


class FieldShape(NamedTuple):
    """A field before it has a place."""

    name: str
    type_name: str  # "f64", "bytes[8]", "f64[5]"
    code: str  # the struct character of one item; "s" for fixed bytes
    item_size: int  # bytes
    length: int  # items of an array, bytes of fixed bytes; 0 for a single number

    @property
    def size(self) -> int:
        """Bytes."""
        return self.item_size * max(self.length, 1)

    @property
    def format(self) -> str:
        """The PEP 3118 format: `<d`, `(5)<d`, `8s`."""
        if self.code == "s":
            return f"{self.length}s"
        item = self.code if self.item_size == 1 else f"<{self.code}"
        return f"({self.length}){item}" if self.length else item


class StructLayout(NamedTuple):
    """Fields, the offset of each in bytes, and what belongs to the whole struct."""

    fields: tuple[FieldShape, ...]
    offsets: tuple[int, ...]
    size: int
    format: str  # PEP 3118: T{...} with names and padding
    fingerprint: str  # changes whenever a name, a type or an offset does


def own_fields(record_type: type) -> list[FieldShape]:
    """Return the fields that `record_type` itself annotates, in order; `ClassVar` is none.

    Raises
    ------
    MessageError
        An annotation has no fixed layout, cannot be evaluated, or a name cannot be a field's.
    """
    try:
        names = list(inspect.get_annotations(record_type))
        hints = get_type_hints(record_type, include_extras=True)
    except Exception as error:
        raise MessageError(f"the annotations of {record_type.__qualname__} cannot be evaluated: {error}") from error
    fields = []
    for name in names:
        hint = hints[name]
        if hint is ClassVar or get_origin(hint) is ClassVar:
            continue
        if not (isinstance(name, str) and name.isidentifier()) or (name.startswith("__") and name.endswith("__")):
            raise MessageError(f"{record_type.__qualname__}: {name!r} cannot be the name of a field")
        fields.append(shape_of(f"{record_type.__qualname__}.{name}", name, hint))
    return fields


def shape_of(title: str, name: str, hint: Any) -> FieldShape:
    """Return the shape that an annotation asks for, or raise a MessageError that names the possible ones."""
    python_type, *marks = get_args(hint) if get_origin(hint) is Annotated else (hint,)
    if python_type is bytes:
        sizes = [mark for mark in marks if isinstance(mark, int) and not isinstance(mark, bool)]
        if len(sizes) == 1 and sizes[0] >= 1:
            return FieldShape(name, f"bytes[{sizes[0]}]", "s", 1, sizes[0])
    layouts = [mark for mark in marks if isinstance(mark, Scalar | Array)]
    if len(layouts) == 1:
        match layouts[0]:
            case Scalar() as scalar:
                return FieldShape(name, scalar.name, scalar.code, scalar.size, 0)
            case Array(element=scalar, length=length) if get_origin(python_type) is tuple:
                return FieldShape(name, f"{scalar.name}[{length}]", scalar.code, scalar.size, length)
    shown = hint.__qualname__ if isinstance(hint, type) else repr(hint)
    raise MessageError(f"{title}: {shown} has no fixed layout; possible are {POSSIBLE_TYPES}")


def lay_out(title: str, fields: Sequence[FieldShape]) -> StructLayout:
    """Place `fields` one after the other, as a C compiler does.

    Raises
    ------
    MessageError
        There is no field, a name comes twice, or the struct is larger than 4 GiB - 1.
    """
    if not fields:
        raise MessageError(f"{title} has no fields: annotate at least one")
    offsets: list[int] = []
    formats: list[str] = []
    end = 0
    for field in fields:
        offset = aligned(end, field.item_size)
        formats.append(padding(offset - end) + f"{field.format}:{field.name}:")
        offsets.append(offset)
        end = offset + field.size
    size = aligned(end, max(field.item_size for field in fields))
    if size > LARGEST_RECORD:
        raise MessageError(f"{title} must have at most {LARGEST_RECORD} bytes, got {size}")
    struct_format = "T{" + "".join(formats) + padding(size - end) + "}"
    return StructLayout(tuple(fields), tuple(offsets), size, struct_format, fingerprint_of(fields, offsets, size))


def fingerprint_of(fields: Sequence[FieldShape], offsets: Sequence[int], size: int) -> str:
    """16 hexadecimal digits of a SHA-256 over names, formats, offsets and the size; not the class's name."""
    import hashlib  # not with nanobus: it loads a library of cryptography

    lines = [f"{field.name} {field.format} {offset}" for field, offset in zip(fields, offsets, strict=True)]
    text = "\n".join(["nanobus record", *lines, f"size {size}"])
    return hashlib.sha256(text.encode()).hexdigest()[:16]


def aligned(offset: int, alignment: int) -> int:
    """Return the next multiple of `alignment`, a power of two."""
    return (offset + alignment - 1) & -alignment


def padding(size: int) -> str:
    """Return the format of `size` bytes that belong to no field."""
    return f"{size}x" if size else ""
