"""nanobus: software made of nano-services on a lock-free, memory-mapped message bus.

    messenger  routing   processes        lifecycle
    handlers   messages records codecs    the user's side
    schema                                what ids mean in a journal, then and now
    dispatch                              vtable, worker loop, outbox      compiled
    bus  journal                          contract, ring, senders; disk    compiled
    memory                                mappings                         compiled
    core                                  layout, atomics, clock, crc32c   C inline

Imports point down only.
"""

from nanobus.bus.circular import CircularBus
from nanobus.bus.envelope import Envelope, Gap
from nanobus.bus.sender import Sender
from nanobus.bus.statistics import BusStatistics, ReaderStatistics, WriterStatistics
from nanobus.errors import (
    BusClosedError,
    BusFormatError,
    BusFullError,
    CorruptJournalError,
    CorruptMessageError,
    CursorInUseError,
    DecodeError,
    DivergenceError,
    EncodeError,
    HandleInUseError,
    HandlerError,
    JournalInUseError,
    JournalVersionError,
    MappingError,
    MessageError,
    MessageTooLargeError,
    NanobusError,
    NativeHandlerError,
    NotRunningError,
    RecordReleasedError,
    RoutingError,
    RoutingWarning,
    SchemaError,
    SchemaMismatchError,
    ShardKeyError,
    StopTimeoutError,
    TooManyHandlesError,
    WorkerDiedError,
)
from nanobus.field_types import Array, boolean, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64
from nanobus.handlers import Handler, every, on
from nanobus.journal.journal import JournalBus
from nanobus.journal.reports import JournalStatistics, Recovery, Retention
from nanobus.messages import message
from nanobus.messenger import JoinHandles, Messenger
from nanobus.natives import native
from nanobus.records.record import Record
from nanobus.replaying import ReplayResult
from nanobus.routing import Worker
from nanobus.schema.upcasts import upcast

__all__ = [
    "Array",
    "BusClosedError",
    "BusFormatError",
    "BusFullError",
    "BusStatistics",
    "CircularBus",
    "CorruptJournalError",
    "CorruptMessageError",
    "CursorInUseError",
    "DecodeError",
    "DivergenceError",
    "EncodeError",
    "Envelope",
    "Gap",
    "HandleInUseError",
    "Handler",
    "HandlerError",
    "JoinHandles",
    "JournalBus",
    "JournalInUseError",
    "JournalStatistics",
    "JournalVersionError",
    "MappingError",
    "MessageError",
    "MessageTooLargeError",
    "Messenger",
    "NanobusError",
    "NativeHandlerError",
    "NotRunningError",
    "ReaderStatistics",
    "Record",
    "RecordReleasedError",
    "Recovery",
    "ReplayResult",
    "Retention",
    "RoutingError",
    "RoutingWarning",
    "SchemaError",
    "SchemaMismatchError",
    "Sender",
    "ShardKeyError",
    "StopTimeoutError",
    "TooManyHandlesError",
    "Worker",
    "WorkerDiedError",
    "WriterStatistics",
    "boolean",
    "every",
    "f32",
    "f64",
    "i8",
    "i16",
    "i32",
    "i64",
    "message",
    "native",
    "on",
    "u8",
    "u16",
    "u32",
    "u64",
    "upcast",
]
