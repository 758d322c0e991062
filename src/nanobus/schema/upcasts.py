"""@upcast: which function makes a message of today from a layout of then. One a class and fingerprint."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

from nanobus.bus.codec import find_codec
from nanobus.errors import MessageError

Upcast = Callable[[Any], Any]
Message = TypeVar("Message")

registry: dict[tuple[type, str], Upcast] = {}


def upcast(
    message_type: type[Message], /, *, from_fingerprint: str
) -> Callable[[Callable[[Any], Message]], Callable[[Any], Message]]:
    """Let a function make messages of a class from the payloads of a layout it had before.

    Parameters
    ----------
    message_type : type
        A declared message: what the function returns.
    from_fingerprint : str
        Of the old layout, as the error on opening the journal and its `schema.json` show it.

    Returns
    -------
    callable
        The decorator; it returns the function unchanged.

    Raises
    ------
    MessageError
        `message_type` is not declared, or has a function for that layout already.
    TypeError, ValueError
        The fingerprint is no text, or that of the class as it is now.

    Notes
    -----
    The function gets the old fields as attributes of a types.SimpleNamespace: a Record's or ctypes structure's with
    fixed bytes as bytes and arrays as lists, a msgspec class's with its nested objects as further namespaces, those of
    a protobuf message likewise (None where a field was not set), a pydantic model's with nested objects as dicts. A
    field that was left out when it was written, because it had its default, is missing. A numpy layout comes as the
    list of its items; raw bytes, pickles and codecs of your own come as the payload's bytes.

    It runs in the thread of the worker that reads, once for each old message. Safe to declare from any thread.
    """
    codec = find_codec(message_type)
    if not isinstance(from_fingerprint, str):
        raise TypeError(f"from_fingerprint must be a text, got {from_fingerprint!r}")
    if from_fingerprint == codec.fingerprint:
        name = message_type.__qualname__
        raise ValueError(f"from_fingerprint must be that of an old layout, {from_fingerprint!r} is {name} as it is")

    def register(function: Callable[[Any], Message]) -> Callable[[Any], Message]:
        if not callable(function):
            raise TypeError(f"@upcast marks functions, got {function!r}")
        if registry.setdefault((message_type, from_fingerprint), function) is not function:
            raise MessageError(f"{message_type.__qualname__} has an upcast from {from_fingerprint!r} already")
        return function

    return register


def upcast_of(message_type: type, fingerprint: str) -> Upcast | None:
    """Return the function that was registered, if one was."""
    return registry.get((message_type, fingerprint))
