"""What the handlers tell each other. When something was so, and who says it, is in every message's header."""

import msgspec
from nanobus import message


@message(id=1)
class Sample(msgspec.Struct, frozen=True):
    """One reading of one metric: percent of `cpu 0` or `memory`, bytes a second of `disk read` or `network in`."""

    metric: str
    value: float


@message(id=2)
class Smoothed(msgspec.Struct, frozen=True):
    """The moving average of a metric, after its latest sample."""

    metric: str
    value: float


@message(id=3)
class Alert(msgspec.Struct, frozen=True):
    """A value far from the last ones, which made one from `low` to `high` likely."""

    metric: str
    value: float
    low: float
    high: float


@message(id=4)
class Finish(msgspec.Struct, frozen=True):
    """Asks the sampler for no more samples. Sent by `main`, from outside the handlers."""


@message(id=5)
class Finished(msgspec.Struct, frozen=True):
    """The last word of a handler: how many messages it had sent before. Whoever counts knows that none is missing."""

    handler: str
    sent: int


@message(id=6)
class Started(msgspec.Struct, frozen=True):
    """The first word of the sampler: from here on it counts. Where its process was killed, the next one starts anew."""
