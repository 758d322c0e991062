"""The message: a C struct of 1056 bytes. It is never encoded nor decoded; its fields are read where it lies."""

from typing import Annotated

from nanobus import Record, message
from nanobus.field_types import Array, boolean, f32, f64, u32

SAMPLES = 256


@message(id=1)
class Block(Record):
    """A moment of sound: 256 samples at `rate` a second."""

    number: u32
    last: boolean
    rate: f64
    microphone: Annotated[bytes, 16]
    samples: Annotated[tuple[float, ...], Array(f32, SAMPLES)]
