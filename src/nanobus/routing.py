"""Routing tables: declared by Worker, checked as a whole, then frozen into a Router for each worker.

Everything that can be wrong is found here, before a thread starts, and named by the culprit.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any, Literal

from nanobus.batching import batch_of, check_batches
from nanobus.bus.base import Bus, BusReader
from nanobus.bus.codec import Codec, checked_source_id, find_codec
from nanobus.dispatch.batches import Batch
from nanobus.dispatch.native import NativeCall
from nanobus.dispatch.router import Router
from nanobus.errors import HandlerError, MessageError, RoutingError, RoutingWarning
from nanobus.handlers import Handler
from nanobus.journal.cursors import check_name
from nanobus.natives import NativeCalls, NativeMethod, check_natives, natives_of
from nanobus.schema import Schema, upcasting_codec
from nanobus.schema.upcasting import UpcastingCodec
from nanobus.sharding import CURSOR_ENDING, must_be_decoded, shard_of

Source = type[Handler] | int
Routes = Mapping[tuple[Source, type], Sequence[type[Handler]]]
Process = bool | Literal["spawn", "fork"]
ErrorPolicy = Literal["stop", "skip"] | Callable[[HandlerError], object]

KIBIBYTE = 1024
DEFAULT_OUTBOX_LIMIT = 64 * KIBIBYTE * KIBIBYTE
MOST_SHARDS = 0xFFFF


class Worker:
    """One loop over the bus, and the handlers it owns.

    Parameters
    ----------
    name : str
        Unique in its messenger; also the name of its thread.
    handlers : sequence of Handler classes
        Made in this order, inside the worker.
    routes : mapping of (source, message class) -> Handler classes
        Who of this worker receives that message from that source, in this order. A source is a Handler class, of any
        worker, or the id of something outside (`bus.sender(id)`).
    on_error : "stop", "skip" or callable
        What a handler's error does: stop the whole messenger and be raised by `join`; be logged, and the next receiver
        or message goes on; or whatever the callable, given the HandlerError, says by returning true to go on.
    idle : float
        Seconds between calls of `on_loop` while no message arrives.
    outbox_limit : int
        Bytes the worker may hold back while the bus is full; what a handler sends past it raises BusFullError.
    cursor : str, optional
        Name of a cursor that the bus keeps (a journal does): the worker goes on where the last one with that cursor
        was, also after a crash, and does not send again what the bus holds already for the messages it handles anew.
        Exactly once within the bus, for handlers that answer a message in the same way the second time: after a crash
        of processes with every `sync` of the journal, after one of the machine with `sync="commit"`. (With another one
        the machine may lose answers to messages that the cursor has passed, and they are not sent again.) It begins
        with the message that ended the last one, if a handler's error did; a cursor that there was not, with the oldest
        message on the bus. One worker at a time.
        None: from the head of the bus when the messenger runs.
    process : bool, "spawn" or "fork", optional
        False, as where it is left out: a thread. True or "spawn": a process of its own, a new interpreter. Handler
        classes, messages, `on_error` and the config travel there by pickle: classes as names of what can be imported,
        also from the main module, as long as that one runs its messenger only where `if __name__ == "__main__"` holds.
        The bus must be a CircularBus or a JournalBus on disk. "fork": a copy of this process, where nothing has to be
        pickled, and where whatever lock another thread holds at that moment is held for ever.
    restart : "never" or "on-failure"
        What happens when the process dies, killed or by a crash: WorkerDiedError from `join`, or another process, which
        goes on at the worker's cursor, or with the first message that was not handled to its end; meanwhile writers
        wait for it as for any reader, for as long as `hold` says. Its handlers are made anew: `__init__` and `on_start`
        run again, and what they send is sent again. A handler's error is no death: `on_error` says what it does.
        Nothing is started again once a stop leaves it nothing to handle.
    max_restarts : int
        So many times; the next death is a WorkerDiedError.
    backoff : float
        Seconds before the first restart; twice as long before each further one, but no longer than 60 s.
    hold : float
        Seconds for which a ring at most keeps the place of a worker, so that writers wait for it, from the death of its
        process until the next one has made its handlers. After that the place is let go: writers pass, and the next
        process begins at the head of the bus as it is when that one is started, with a warning in the log that names
        the positions of what is not handled. A process that is too late with its handlers is killed, which counts as a
        death; one that begins at the head has this time anew, but at least 30 s. 0 lets go at once. A journal loses
        nothing, and its writers wait for nobody: there it does not count.
    shards : int
        In how many processes the worker runs: "name/0", "name/1" and so on, each with all handlers and routes, its own
        outbox, counters, restarts, and cursor, if there is one ("cursor.0of2", or "cursor.0of2.field"). Each message is
        handled by one of them, and a tick by the one that it is of; `on_start`, `on_loop` and `on_stop` run in all of
        them (`Handler.shard` says in which). More than 1 implies `process="spawn"` where it is left out. A journal with
        cursors of another number of shards, or of another `shard_by`, is refused.
    shard_by : str, optional
        The field, or property, of every routed message class whose value, the key, decides which shard: messages of one
        key are handled in their order, by one handler object. It is an int (so is a bool), str, bytes, None, or an Enum
        member, which counts as its value; equal ones go to the same shard from messages of all classes, and a str with
        bytes of its UTF-8, zeros at the end aside. Anything else is a ShardKeyError, told as a handler's error by one
        shard, as a DecodeError is; any other error, and one for lack of memory, a file or a module, is told by every
        shard that meets it. A Record's field is looked at where it lies, without the GIL; messages of other codecs are
        decoded by every shard.
        None: the position of a message decides, as if by chance.

    Raises
    ------
    RoutingError, ValueError, TypeError
        Naming the culprit.
    """

    def __init__(
        self,
        name: str,
        handlers: Sequence[type[Handler]],
        routes: Routes | None = None,
        *,
        on_error: ErrorPolicy = "stop",
        idle: float = 0.001,
        outbox_limit: int = DEFAULT_OUTBOX_LIMIT,
        cursor: str | None = None,
        process: Process | None = None,
        restart: Literal["never", "on-failure"] = "never",
        max_restarts: int = 3,
        backoff: float = 0.1,
        hold: float = 30.0,
        shards: int = 1,
        shard_by: str | None = None,
    ) -> None:
        if not isinstance(name, str) or not name:
            raise TypeError(f"a worker's name must be a text, got {name!r}")
        if on_error not in ("stop", "skip") and not callable(on_error):
            raise ValueError(f'on_error must be "stop", "skip" or a callable, got {on_error!r}')
        if not isinstance(idle, (int, float)) or not 0 < idle < 1e9:
            raise ValueError(f"idle must be > 0 seconds, got {idle!r}")
        if not isinstance(outbox_limit, int) or not KIBIBYTE <= outbox_limit < 2**63:
            raise ValueError(f"outbox_limit must be >= {KIBIBYTE} bytes, got {outbox_limit!r}")
        if cursor is not None and (not isinstance(cursor, str) or cursor in ("", "oldest", "newest")):
            raise ValueError(f'cursor must be a name other than "oldest" and "newest", got {cursor!r}')
        if cursor is not None and CURSOR_ENDING.search(cursor):
            raise ValueError(f"cursor must not end as those of shards do, .0of2 or .0of2.field, got {cursor!r}")
        if isinstance(shards, bool) or not isinstance(shards, int) or not 1 <= shards <= MOST_SHARDS:
            raise ValueError(f"shards must be an int in 1..{MOST_SHARDS}, got {shards!r}")
        if shard_by is not None and not (isinstance(shard_by, str) and shard_by.isidentifier()):
            raise ValueError(f"shard_by must be the name of a field, or None, got {shard_by!r}")
        if shards > 1 and process is False:
            raise ValueError(f"shards run in processes of their own, got shards={shards!r} with process=False")
        if process is None:
            process = shards > 1
        if process not in (False, True, "spawn", "fork"):
            raise ValueError(f'process must be False, True, "spawn" or "fork", got {process!r}')
        if restart not in ("never", "on-failure"):
            raise ValueError(f'restart must be "never" or "on-failure", got {restart!r}')
        if restart != "never" and not process:
            raise ValueError(f"restart={restart!r} is for a worker in a process of its own, and {name!r} has none")
        if isinstance(max_restarts, bool) or not isinstance(max_restarts, int) or max_restarts < 0:
            raise ValueError(f"max_restarts must be an int >= 0, got {max_restarts!r}")
        if not isinstance(backoff, (int, float)) or not 0 <= backoff < 1e6:
            raise ValueError(f"backoff must be >= 0 seconds, got {backoff!r}")
        if not isinstance(hold, (int, float)) or not 0 <= hold < 1e6:
            raise ValueError(f"hold must be >= 0 seconds, got {hold!r}")
        self.name = name
        self.handlers = tuple(handlers)
        for handler in self.handlers:
            check_handler(handler, f"a handler of worker {name!r}")
        self.routes = checked_routes(name, {} if routes is None else routes)
        self.on_error = on_error
        self.idle = idle
        self.outbox_limit = outbox_limit
        self.cursor = cursor
        self.process = process
        self.restart = restart
        self.max_restarts = max_restarts
        self.backoff = backoff
        self.hold = hold
        self.shards = shards
        self.shard_by = shard_by
        self.shard = 0                      # which one this is, in a copy that runs

    def __repr__(self) -> str:
        return f"Worker({self.name!r}, [{', '.join(handler.__qualname__ for handler in self.handlers)}])"


def checked_routes(worker: str, routes: Routes) -> dict[tuple[Source, type], tuple[type[Handler], ...]]:
    """Return a copy of `routes`, or say what in it has not the form of a route."""
    form = f"the routes of worker {worker!r} are {{(source, message class): [receivers]}}"
    if not isinstance(routes, Mapping):
        raise RoutingError(f"{form}, got {routes!r}")
    for key, receivers in routes.items():
        if not isinstance(key, tuple) or len(key) != 2:
            raise RoutingError(f"{form}, got the key {key!r}")
        if not isinstance(receivers, (list, tuple)):
            raise RoutingError(f"{form}, got the receivers {receivers!r}")
    return {key: tuple(receivers) for key, receivers in routes.items()}


def check_handler(handler: object, what: str) -> None:
    """Raise unless `handler` is a Handler subclass with an id."""
    if not isinstance(handler, type) or not issubclass(handler, Handler):
        raise RoutingError(f"{what} must be a subclass of Handler, got {handler!r}")
    if handler.source_id is None:
        raise RoutingError(f"{what} must have an id, and {handler.__qualname__} has none: class X(Handler, id=...)")


def source_id(source: Source) -> int:
    """Return the id of a Handler class, or of an int as it is."""
    if isinstance(source, type) and issubclass(source, Handler) and source.source_id is not None:
        return source.source_id
    try:
        return checked_source_id(source)  # type: ignore[arg-type]
    except (TypeError, ValueError) as error:
        raise RoutingError(f"the source of a route must be a Handler class with an id, or an id: {error}") from error


def check(workers: Sequence[Worker]) -> None:
    """Raise for what cannot run, warn of what can never happen.

    Raises
    ------
    RoutingError
        Two workers of one name; a handler in two workers, or twice in one; two sources or two messages of one id; a
        receiver that is not in the worker, or has no `@on` for the message; a native method that cannot run.

    Warns
    -----
    RoutingWarning
        A route from a handler that is in no worker; a route to nobody; an `@on` that no route reaches.
    """
    places: dict[type[Handler], Worker] = {}
    for worker in workers:
        if any(other is not worker and other.name == worker.name for other in workers):
            raise RoutingError(f"two workers are named {worker.name!r}")
        for handler in worker.handlers:
            if handler in places:
                raise RoutingError(
                    f"{handler.__qualname__} is in worker {places[handler].name!r} and in worker {worker.name!r}: "
                    f"a handler has one place"
                )
            places[handler] = worker
    check_sources(places, workers)
    check_messages(workers)
    for handler in places:
        check_natives(handler)
        check_batches(handler)
    for worker in workers:
        check_routes(worker, places)


def check_cursors(workers: Sequence[Worker], bus: Bus) -> None:
    """Raise RoutingError for a cursor that `bus` cannot keep, or that two workers would move."""
    owners: dict[str, Worker] = {}
    for worker in workers:
        if worker.cursor is None:
            continue
        if not bus.keeps_cursors:
            raise RoutingError(
                f"worker {worker.name!r} has the cursor {worker.cursor!r}, and {type(bus).__qualname__} keeps none: "
                f"a journal does"
            )
        last = worker if worker.shards == 1 else shard_of(worker, worker.shards - 1)
        try:
            check_name(last.cursor or "")               # the longest
        except ValueError as error:
            raise RoutingError(f"worker {last.name!r}: {error}") from None
        if (owner := owners.setdefault(worker.cursor, worker)) is not worker:
            raise RoutingError(
                f"workers {owner.name!r} and {worker.name!r} have one cursor, {worker.cursor!r}: it belongs to one"
            )


def check_sources(places: Iterable[type[Handler]], workers: Sequence[Worker]) -> None:
    routed = [source for worker in workers for source, _ in worker.routes]
    owners: dict[int, type] = {}
    for source in dict.fromkeys([*places, *routed]):
        number = source_id(source)
        if isinstance(source, type) and (owner := owners.setdefault(number, source)) is not source:
            raise RoutingError(f"{owner.__qualname__} and {source.__qualname__} have one source id: {number}")


def check_messages(workers: Sequence[Worker]) -> None:
    routed = [message for worker in workers for _, message in worker.routes]
    handlers = [handler for worker in workers for handler in worker.handlers]
    handled = [message for handler in handlers for message in handler.receives]
    sent = [message for handler in handlers for one in natives_of(handler).values() for message in one.sends]
    owners: dict[int, type] = {}
    for message in dict.fromkeys([*routed, *handled, *sent]):
        owner = owners.setdefault(codec_in_table(message).message_id, message)
        if owner is not message:
            raise RoutingError(
                f"{owner.__qualname__} and {message.__qualname__} have one message id: {find_codec(message).message_id}"
            )


def codec_in_table(message: Any) -> Codec:
    try:
        return find_codec(message)
    except (MessageError, TypeError) as error:
        raise RoutingError(f"a routing table speaks of {message!r}, which is not a declared message") from error


def check_routes(worker: Worker, places: Mapping[type[Handler], Worker]) -> None:
    reached: set[tuple[type[Handler], type]] = set()
    seen: set[tuple[int, type]] = set()
    for (source, message), receivers in worker.routes.items():
        name = getattr(source, "__qualname__", source)
        route = f"the route ({name}, {message.__qualname__}) of worker {worker.name!r}"
        if (source_id(source), message) in seen:
            raise RoutingError(f"{route} is there twice: as a class and as the id {source_id(source)}")
        seen.add((source_id(source), message))
        for receiver in receivers:
            check_handler(receiver, f"a receiver in {route}")
            if receiver not in worker.handlers:
                home = f"it is in {places[receiver].name!r}" if receiver in places else "it is in no worker"
                raise RoutingError(f"{route} names {receiver.__qualname__}, which is not in that worker: {home}")
            if message not in receiver.receives:
                raise RoutingError(
                    f"{route} names {receiver.__qualname__}, which has no @on({message.__qualname__}) method"
                )
            if message in receiver.batch_limits and len(receivers) > 1:
                raise RoutingError(
                    f"{route} names {receiver.__qualname__}, which takes {message.__qualname__} in batches, beside "
                    f"others: those belong to another worker"
                )
            if receivers.count(receiver) > 1:
                raise RoutingError(f"{route} names {receiver.__qualname__} twice")
            reached.add((receiver, message))
        if not receivers:
            warn(f"{route} has no receivers")
        if isinstance(source, type) and source not in places:
            warn(f"{route} can never fire: {source.__qualname__} is in no worker")
    for handler in worker.handlers:
        for message, method in handler.receives.items():
            if (handler, message) not in reached:
                warn(f"{handler.__qualname__}.{method} waits for {message.__qualname__}, and no route brings it")


def warn(text: str) -> None:
    warnings.warn(text, RoutingWarning, stacklevel=5)


def freeze(
    worker: Worker, handlers: Sequence[Handler], schema: Schema | None = None, reader: BusReader | None = None
) -> Router:
    """Build the vtable of a checked worker; `handlers` are the instances of `worker.handlers`, in that order.

    With the schema of a journal, old layouts that lie ahead of `reader` are read through their `@upcast`.
    """
    routes: dict[tuple[int, int], list[tuple[int, Callable[[Any], object] | NativeCall | Batch]]] = {}
    codecs: dict[int, Codec] = {}
    asked: set[int] = set()
    translated: dict[int, int] = {}
    natives = [NativeCalls(handler) if natives_of(type(handler)) else None for handler in handlers]
    for (source, message), receivers in worker.routes.items():
        codec = find_codec(message)
        if schema is not None and reader is not None:
            codec = upcasting_codec(codec, schema, reader)
        if isinstance(codec, UpcastingCodec):
            translated[codec.message_id] = codec.since
        if must_be_decoded(worker, message, codec):
            asked.add(codec.message_id)
        codecs[codec.message_id] = codec
        row = routes.setdefault((source_id(source), codec.message_id), [])
        for receiver in receivers:
            index = worker.handlers.index(receiver)
            method = getattr(handlers[index], receiver.receives[message])
            calls = natives[index]
            if message in receiver.batch_limits:
                method = batch_of(handlers[index], method, message, receiver.batch_limits[message])
            if isinstance(method, NativeMethod) and calls is not None:
                method = calls.call_of(method, message)
            row.append((index, method))
    return Router(routes, codecs, asked, translated)
