"""The nano-service: what users subclass, and the two decorators that say which method gets what."""

from __future__ import annotations

from collections.abc import Callable
from functools import partialmethod
from inspect import isasyncgenfunction, iscoroutinefunction, isgeneratorfunction
from typing import Any, ClassVar, TypeVar

from nanobus.batching import checked_limit
from nanobus.bus.codec import checked_source_id
from nanobus.bus.envelope import Gap
from nanobus.dispatch.service import Service
from nanobus.errors import RoutingError
from nanobus.natives import NativeMethod

Method = TypeVar("Method", bound=Callable[..., Any])
Period = float | Callable[[Any], float]

RECEIVES = "__nanobus_receives__"
PERIODS = "__nanobus_periods__"
BATCHES = "__nanobus_batches__"


def on(*message_types: type, batch: bool | int = False) -> Callable[[Method], Method]:
    """Let a method receive messages of these classes, where a route brings them to its handler.

    `on(Quote)(native(function))` lets a C function do so; see `native`.

    Parameters
    ----------
    *message_types : type
    batch : bool or int
        The method takes several messages at once, `def quotes(self, quotes, positions)`: an array of structs, and their
        positions as u64, both numpy arrays that are its own to keep. True: up to 4096 messages, or up to that number.

    Raises
    ------
    TypeError, ValueError
        No class was given, or something else; `batch` is out of range.

    Notes
    -----
    A batch is what lies on the bus at the moment, one message at least, of one class and one source: the first message
    that is for another receiver of the worker ends it, as do a tick, a payload of another size, its limit, and an empty
    bus. Messages that nobody in the worker receives lie in between without ending it. Records and ctypes structures
    come in batches, and their batch method is the only receiver of the class from that source in its worker.

    The worker's place on the bus is behind the batch once the method has returned: after a crash, or an error that
    stops the worker, all of it comes again. An error is one of the whole batch, at the position of its first message.
    What is sent has the last message as its cause. The same batches do not come again, in a replay each message comes
    alone; so a batch method may send nothing in a worker with a `cursor`, or where a replay verifies: NanobusError.
    """
    limit = checked_limit(batch)
    if not message_types or not all(isinstance(one, type) for one in message_types):
        raise TypeError(f"@on takes message classes, got {', '.join(map(repr, message_types)) or 'nothing'}")

    def mark(method: Method) -> Method:
        if not isinstance(method, NativeMethod):
            check_method(method, "@on")
        elif limit:
            raise TypeError("a native method takes messages one by one: batch is for a Python method")
        if limit:
            setattr(method, BATCHES, (*getattr(method, BATCHES, ()), *((one, limit) for one in message_types)))
        setattr(method, RECEIVES, (*getattr(method, RECEIVES, ()), *message_types))
        return method

    return mark


def every(seconds: Period) -> Callable[[Method], Method]:
    """Call a method without arguments every so many seconds.

    A tick is a message on the bus: it has a position, is ordered with all others, and replays. Ticks that find the
    last one still unhandled are skipped.

    Parameters
    ----------
    seconds : float or callable
        From 1e-6 to 1e9, or a function of the messenger's config that returns them.

    Raises
    ------
    ValueError
        `seconds` is out of range. What a function returned is checked when its worker starts.
    """
    if not callable(seconds):
        period_ns(seconds, None)

    def mark(method: Method) -> Method:
        check_method(method, "@every")
        setattr(method, PERIODS, (*getattr(method, PERIODS, ()), seconds))
        return method

    return mark


def check_method(method: Any, decorator: str) -> None:
    """Raise unless calling `method` runs its body."""
    if not callable(method) or isinstance(method, (staticmethod, classmethod, partialmethod, NativeMethod)):
        raise TypeError(f"{decorator} marks plain methods, got {method!r}")
    if any(kind(method) for kind in (iscoroutinefunction, isgeneratorfunction, isasyncgenfunction)):
        raise TypeError(f"{decorator} marks plain methods, and calling {method!r} would not run its body")


def period_ns(period: Period, config: Any) -> int:
    """Return the nanoseconds of an `@every`."""
    seconds = period(config) if callable(period) else period
    if isinstance(seconds, bool) or not isinstance(seconds, (int, float)) or not 1e-6 <= seconds <= 1e9:
        raise ValueError(f"@every takes seconds in 1e-6..1e9, got {seconds!r}")
    return int(seconds * 1e9)


def marks_of(cls: type, name: str, kind: str) -> tuple[Any, ...]:
    """Return the marks of a method; an override without any has those of the method it overrides."""
    definitions = [vars(base)[name] for base in cls.__mro__ if name in vars(base)]
    if definitions[0] is None:
        return ()
    return next((marks for one in definitions if (marks := getattr(one, kind, ()))), ())


def batch_marks_of(cls: type, name: str) -> tuple[tuple[type, int], ...]:
    """Return the batch sizes that go with the marks of a method: those of the definition that has the `@on`."""
    definitions = [vars(base)[name] for base in cls.__mro__ if name in vars(base)]
    marked = next((one for one in definitions if one is None or hasattr(one, RECEIVES)), None)
    found: tuple[tuple[type, int], ...] = getattr(marked, BATCHES, ())
    return found


class Handler(Service):
    """A nano-service: receives messages, sends messages, knows no other handler.

    `class Strategy(Handler, id=1)`. A subclass without `id` is a base for others and runs nowhere itself.

    Parameters
    ----------
    config : object
        The messenger's `config`, also kept as `self.config`.

    Attributes
    ----------
    source_id : int or None
        Class attribute: the id its messages carry.
    receives : dict of type -> str
        Class attribute: message class -> name of the method marked with `@on`.
    timers : tuple of (float or callable, str)
        Class attribute: (period, method name) of each `@every`.
    batch_limits : dict of type -> int
        Class attribute: message class -> how many come together at most, where they do.

    Notes
    -----
    Made inside its worker, one in each shard of it, which alone calls it: a handler needs no locks. A method that
    overrides a marked one is called in its place; `name = None` takes it out.
    """

    source_id: ClassVar[int | None] = None
    receives: ClassVar[dict[type, str]] = {}
    timers: ClassVar[tuple[tuple[Period, str], ...]] = ()
    batch_limits: ClassVar[dict[type, int]] = {}

    def __init_subclass__(cls, *, id: int | None = None, **kwargs: Any) -> None:  # noqa: A002  the user's word
        super().__init_subclass__(**kwargs)
        cls.source_id = None if id is None else checked_source_id(id)
        receives: dict[type, str] = {}
        timers: list[tuple[Period, str]] = []
        batches: dict[type, int] = {}
        for name in dict.fromkeys(name for base in reversed(cls.__mro__) for name in vars(base)):
            for message_type in marks_of(cls, name, RECEIVES):
                if message_type in receives:
                    raise RoutingError(
                        f"{cls.__qualname__} has two methods for {message_type.__qualname__}: "
                        f"{receives[message_type]} and {name}"
                    )
                receives[message_type] = name
            batches |= dict(batch_marks_of(cls, name))
            timers += [(period, name) for period in marks_of(cls, name, PERIODS)]
        cls.receives = receives
        cls.timers = tuple(timers)
        cls.batch_limits = batches

    def __init__(self, config: Any = None) -> None:
        self.config = config

    def on_start(self) -> None:
        """Called once, after every handler of every worker was made and before any message arrives."""

    def on_loop(self) -> None:
        """Called once a turn of the worker's loop: after each batch of messages, or every `Worker.idle` seconds."""

    def on_gap(self, gap: Gap) -> None:
        """Called where writers overtook this worker (`overflow="overwrite"`): the messages in `gap` are lost."""

    def on_stop(self) -> None:
        """Called once, after the last message. What it sends is on the bus, though no worker of this run reads it."""
