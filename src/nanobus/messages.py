"""Declare which classes are messages: each has one id and one codec, in every messenger of the process."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol, TypeVar, overload

from nanobus.bus.codec import checked_message_id, register
from nanobus.codecs import codec_for
from nanobus.errors import MessageError

if TYPE_CHECKING:
    import numpy
    from typing_extensions import Buffer

MessageClass = TypeVar("MessageClass", bound=type)


class MessageCodec(Protocol):
    """What a codec of your own looks like. A `name` and a `fingerprint` (both str) are used where it has them."""

    def encode(self, message: Any, /) -> Buffer: ...
    def decode(self, payload: bytes, /) -> Any: ...


@overload
def message(
    cls: MessageClass, /, *, id: int, codec: str | numpy.dtype[Any] | MessageCodec | None = None
) -> MessageClass: ...
@overload
def message(
    cls: None = None, /, *, id: int, codec: str | numpy.dtype[Any] | MessageCodec | None = None
) -> Callable[[MessageClass], MessageClass]: ...
def message(
    cls: Any = None,
    /,
    *,
    id: int,  # noqa: A002
    codec: Any = None,
) -> Any:
    """Declare a class as a message: `@message(id=7)` above it, or `message(cls, id=7)` for a generated one.

    Parameters
    ----------
    cls : type
        The class whose instances are sent; left out where this is a decorator. Its subclasses are no messages
        until they are declared themselves.
    id : int or IntEnum member
        0 to 0xFEFF. Two classes may have the same id as long as no messenger knows both.
    codec : str, numpy.dtype or object, optional
        How instances become bytes. By default the class tells: a Record, a msgspec.Struct, dataclass or attrs class (by
        msgspec), a protobuf or pydantic class, a ctypes.Structure, or bytes. A name ("msgspec", "protobuf", "pydantic",
        "ctypes", "raw", "record") insists on one of these; "pickle" is taken only by name. A dtype makes a
        subclass of np.ndarray a message. An object with `encode(message) -> bytes-like` and
        `decode(payload: bytes) -> message` is a codec of your own.

    Returns
    -------
    type
        The class itself, unchanged; or the decorator that returns it.

    Raises
    ------
    MessageError
        `cls` is no class, has another id or codec already, has no codec, or one that its library cannot make.
    TypeError, ValueError
        `id` or `codec` is nothing that could be one.

    Notes
    -----
    Safe to call from any thread. The class is kept for the life of the process. Only msgspec is ever imported
    here that was not before, and only for dataclasses and attrs classes.
    """
    message_id = checked_message_id(id)

    def declare(cls: MessageClass) -> MessageClass:
        if not isinstance(cls, type):
            raise MessageError(f"a message must be a class, got {cls!r}")
        register(codec_for(cls, message_id, codec))
        return cls

    return declare if cls is None else declare(cls)
