"""Handler methods that take several messages at once: what they get, and who may have them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from nanobus.bus.codec import find_codec
from nanobus.codecs import ctypes as ctypes_codec
from nanobus.dispatch.batches import Batch
from nanobus.dispatch.service import Service
from nanobus.errors import MessageError, RoutingError
from nanobus.records.lending import RecordCodec

if TYPE_CHECKING:
    import numpy

DEFAULT_LIMIT = 4096                    # messages
LARGEST_BATCH = 64 * 1024 * 1024        # bytes


def checked_limit(batch: Any) -> int:
    """Return how many messages come together at most; 0: each one alone."""
    if batch is True or batch is False:
        return DEFAULT_LIMIT if batch else 0
    if not isinstance(batch, int):
        raise TypeError(f"batch must be True, or how many messages come together at most, got {batch!r}")
    if not 1 <= batch <= 2**24:
        raise ValueError(f"batch must be 1 to {2**24} messages, got {batch!r}")
    return batch


def dtype_of(message: Any) -> numpy.dtype[Any]:
    """Return the dtype of one message in a batch.

    Raises
    ------
    MessageError
        Its payloads are no structs, or there is no numpy.
    """
    codec = find_codec(message)
    structured = codec.name == ctypes_codec.NAME and ctypes_codec.matches(message)
    if not isinstance(codec, RecordCodec) and not structured:
        raise MessageError(
            f"a batch is an array of Records or ctypes structures; {message.__qualname__} is a message of {codec.name}"
        )
    try:
        import numpy
    except ImportError as error:
        raise MessageError(f"a batch of {message.__qualname__} is a numpy array, and there is no numpy") from error
    if isinstance(codec, RecordCodec):
        dtype: numpy.dtype[Any] = numpy.asarray(codec.decode_payload(bytes(codec.fixed_size))).dtype
        return dtype
    try:
        return dtype_of_ctype(message)
    except (TypeError, ValueError) as error:
        raise MessageError(f"numpy has no dtype for {message.__qualname__}: {error}") from error


def dtype_of_ctype(kind: Any) -> numpy.dtype[Any]:
    """Return the dtype of a ctypes type, with the fields that it inherits, which numpy itself passes over."""
    import ctypes

    import numpy

    if issubclass(kind, ctypes.Array):
        return numpy.dtype((dtype_of_ctype(kind._type_), (kind._length_,)))
    if not issubclass(kind, (ctypes.Structure, ctypes.Union)):
        scalar: numpy.dtype[Any] = numpy.dtype(kind)
        return scalar
    fields = [(base, field) for base in reversed(kind.__mro__) for field in vars(base).get("_fields_", ())]
    if not fields or any(len(field) > 2 for _, field in fields):
        raise TypeError(f"{kind.__qualname__} has no fields, or some that are bits")
    return numpy.dtype({
        "names": [field[0] for _, field in fields],
        "formats": [dtype_of_ctype(field[1]) for _, field in fields],
        "offsets": [vars(base)[field[0]].offset for base, field in fields],
        "itemsize": ctypes.sizeof(kind),
    })


def check_batches(handler: Any) -> None:
    """Raise RoutingError for a batch method of a Handler class that cannot run."""
    for message, limit in handler.batch_limits.items():
        try:
            size = dtype_of(message).itemsize
        except MessageError as error:
            raise RoutingError(f"{handler.__qualname__}.{handler.receives[message]}: {error}") from error
        if size * limit > LARGEST_BATCH:
            raise RoutingError(
                f"{handler.__qualname__}.{handler.receives[message]} takes batches of {limit} x {size} bytes, "
                f"at most {LARGEST_BATCH} bytes are possible"
            )


def batch_of(handler: Service, method: Any, message: Any, limit: int) -> Batch:
    """Return what gathers messages for a bound method."""
    import numpy

    dtype = dtype_of(message)

    def make(payloads: bytearray, positions: bytearray) -> tuple[Any, Any]:
        return numpy.frombuffer(payloads, dtype), numpy.frombuffer(positions, numpy.uint64)

    return Batch(handler, method, make, dtype.itemsize, limit)
