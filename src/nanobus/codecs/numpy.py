"""Arrays of one dtype: `@message(id=5, codec=np.dtype([...])) class Ticks(np.ndarray)`.

What is sent is an array of that very class and dtype, one-dimensional and C-contiguous: `array.view(Ticks)` makes one
without a copy. Shapes do not travel, so other dimensions are refused rather than flattened; put a shape into the dtype
(`np.dtype([("matrix", "f8", (3, 3))])`). The handler gets a read-only array of shape (n,) that owns its bytes.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from nanobus.bus.codec import ObjectCodec
from nanobus.codecs.fingerprint import fingerprint_of
from nanobus.errors import MessageError

if TYPE_CHECKING:
    import numpy

NAME = "numpy"
FITS = "a subclass of np.ndarray"


def is_dtype(codec: object) -> bool:
    imported = sys.modules.get("numpy")
    return imported is not None and isinstance(codec, imported.dtype)


def codec_for(cls: type, message_id: int, dtype: numpy.dtype[Any]) -> ObjectCodec:
    import numpy

    check_class(cls)
    check_dtype(cls, dtype)

    def encode(array: Any) -> Any:
        if array.dtype is not dtype and array.dtype != dtype:
            raise ValueError(f"the dtype must be {dtype}, got {array.dtype}")
        if array.ndim != 1:
            raise ValueError(f"the array must have one dimension, got shape {array.shape}")
        if not array.flags.c_contiguous:
            raise ValueError(f"the array must be C-contiguous, got strides {array.strides}: send a copy")
        return array

    def decode(payload: bytes) -> Any:
        return numpy.frombuffer(payload, dtype).view(cls)

    return ObjectCodec(cls, message_id, NAME, fingerprint_of(NAME, layout_of(dtype)), encode, decode)


def check_class(cls: type) -> None:
    import numpy

    if cls is numpy.ndarray or not issubclass(cls, numpy.ndarray):
        raise MessageError(f"codec=np.dtype(...) takes {FITS}, {cls.__qualname__} is none")
    for base in cls.__mro__[: cls.__mro__.index(numpy.ndarray)]:
        if base.__module__.partition(".")[0] == "numpy":  # masks, files and matrix shapes are not in the bytes
            raise MessageError(
                f"codec=np.dtype(...) takes a class derived from np.ndarray itself, "
                f"{cls.__qualname__} derives from {base.__qualname__}"
            )


def check_dtype(cls: type, dtype: numpy.dtype[Any]) -> None:
    if dtype.hasobject:
        raise MessageError(f"the dtype of {cls.__qualname__} must hold no Python objects, got {dtype}")
    if dtype.subdtype is not None:
        raise MessageError(f"the dtype of {cls.__qualname__} must be no array itself, got {dtype}")
    if dtype.itemsize == 0:
        raise MessageError(f"the dtype of {cls.__qualname__} must have a size, got {dtype!r}")


def layout_of(dtype: numpy.dtype[Any]) -> str:
    """Write a dtype as text: offsets and byte orders are spelled out, titles and metadata left out."""
    if dtype.subdtype is not None:
        base, shape = dtype.subdtype
        return f"{shape}*{layout_of(base)}"
    if dtype.fields is None:
        return dtype.str
    # names, not fields: those hold the titles as well
    places = ((name, dtype.fields[name]) for name in dtype.names or ())
    return f"{dtype.itemsize}{{{','.join(f'{name} at {at[1]} {layout_of(at[0])}' for name, at in places)}}}"
