"""pydantic models and pydantic dataclasses: JSON, the one form of bytes that pydantic writes and reads itself.

The serializer and validator of the class are called directly: `model_dump_json` makes the same bytes, decodes them to a
`str` and would have them encoded again. They are asked for what survives the way there and back: fields by their names
(aliases need not be symmetric) and no computed fields. A value of the wrong type in an unvalidated model is a warning
where it is sent and an error where it is received; to have pydantic check every message again would triple the cost.

Private attributes are not sent. A float that is not finite becomes null unless the model says
`ser_json_inf_nan="constants"`; bytes that are not UTF-8 need `ser_json_bytes="base64"` and `val_json_bytes="base64"`.
Threads: both functions may be called from any.
"""

from __future__ import annotations

from functools import partial
from typing import Any

from nanobus.bus.codec import ObjectCodec
from nanobus.codecs.fingerprint import fingerprint_of, layout_of
from nanobus.errors import MessageError

NAME = "pydantic"
FITS = "a pydantic model or pydantic dataclass"


def matches(cls: type) -> bool:
    return "__pydantic_validator__" in vars(cls)


def codec_for(cls: Any, message_id: int) -> ObjectCodec:
    try:
        if not cls.__pydantic_complete__:
            complete(cls)
        encode = partial(cls.__pydantic_serializer__.to_json, by_alias=False, round_trip=True)
        decode = partial(cls.__pydantic_validator__.validate_json, by_alias=False, by_name=True)
        fingerprint = fingerprint_of(NAME, layout_of(cls))
    except Exception as error:
        raise MessageError(f"pydantic cannot decode {cls.__qualname__}: {error}") from error
    return ObjectCodec(cls, message_id, NAME, fingerprint, encode, decode)


def complete(cls: Any) -> None:
    """Look again for the types that were not defined when the class was."""
    if hasattr(cls, "model_rebuild"):
        cls.model_rebuild()
    else:
        from pydantic.dataclasses import rebuild_dataclass

        rebuild_dataclass(cls)
