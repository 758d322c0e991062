"""ctypes.Structure and ctypes.Union: the object's own bytes, in one copy each way.

Another process may read the bytes, so whatever holds an address is refused, however deep inside. The byte order and the
padding are those of the class: where machines or compilers differ, use LittleEndianStructure and `_pack_`.
"""

from __future__ import annotations

from typing import Any

from nanobus.bus.codec import ObjectCodec
from nanobus.codecs.fingerprint import fingerprint_of
from nanobus.errors import MessageError

NAME = "ctypes"
FITS = "a ctypes.Structure or ctypes.Union"

ADDRESSES = "PzZOX"  # c_void_p, c_char_p, c_wchar_p, py_object, BSTR


def matches(cls: type) -> bool:
    return any(base.__module__ == "_ctypes" and base.__name__ in ("Structure", "Union") for base in cls.__mro__)


def codec_for(cls: Any, message_id: int) -> ObjectCodec:
    import ctypes

    if not hasattr(cls, "_fields_"):
        raise MessageError(f"{cls.__qualname__} has no _fields_ yet: declare it when its layout is known")
    fingerprint = fingerprint_of(NAME, layout_of(cls, cls.__qualname__))
    size, from_buffer_copy = ctypes.sizeof(cls), cls.from_buffer_copy

    def decode(payload: bytes) -> Any:
        if len(payload) != size:  # from_buffer_copy takes the front of a longer one
            raise ValueError(f"the size must be {size}")
        return from_buffer_copy(payload)

    return ObjectCodec(cls, message_id, NAME, fingerprint, None, decode)


def layout_of(ctype: Any, path: str) -> str:
    """Write a ctypes type as text. `path` is how the user reaches it, for the error on an address."""
    import ctypes

    size = ctypes.sizeof(ctype)
    if issubclass(ctype, (ctypes.Structure, ctypes.Union)):
        lines = []
        for base in reversed(ctype.__mro__):
            for name, kind, *bits in vars(base).get("_fields_", ()):
                place = f"bits {bits[0]}" if bits else f"at {vars(base)[name].offset}"
                lines.append(f"{name} {place} {layout_of(kind, f'{path}.{name}')}")
        return f"{size}{{{','.join(lines)}}}"
    if issubclass(ctype, ctypes.Array):
        return f"{ctype._length_}*{layout_of(ctype._type_, f'{path}[]')}"
    code = getattr(ctype, "_type_", None)
    if not isinstance(code, str) or code in ADDRESSES:
        raise MessageError(f"{path} is a {ctype.__name__}: an address means nothing to another process")
    big = getattr(ctype, "__ctype_be__", None) is ctype and getattr(ctype, "__ctype_le__", None) is not ctype
    return f"{'>' if big else '<'}{code}{size}"
