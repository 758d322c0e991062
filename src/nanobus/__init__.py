"""nanobus: software made of nano-services on a lock-free, memory-mapped message bus.

    messenger  routing   processes        lifecycle
    handlers   messages records codecs    the user's side
    schema                                what ids mean in a journal, then and now
    dispatch                              vtable, worker loop, outbox      compiled
    bus  journal                          contract, ring, senders; disk    compiled
    memory                                mappings                         compiled
    core                                  layout, atomics, clock, crc32c   C inline

Imports point down only.

A name of the library is imported when it is first asked for, with what it needs: who only opens a bus does not wait for
what runs messengers. From any thread; but a fork while another thread is at it leaves the child a lock that nobody
holds any more, so use what you need before you fork. What a name is, and its types, stands in __init__.pyi.
"""

from _thread import RLock as _RLock
from importlib import import_module as _import_module

_HOMES = {  # module -> what it gives to the library
    "bus.circular": "CircularBus",
    "bus.envelope": "Envelope Gap",
    "bus.sender": "Sender",
    "bus.statistics": "BusStatistics ReaderStatistics WriterStatistics",
    "errors":
        "BusClosedError BusFormatError BusFullError CorruptJournalError CorruptMessageError CursorInUseError "
        "DecodeError DivergenceError EncodeError HandleInUseError HandlerError JournalInUseError "
        "JournalVersionError MappingError MessageError MessageTooLargeError NanobusError NativeHandlerError "
        "NotRunningError RecordReleasedError RoutingError RoutingWarning SchemaError SchemaMismatchError "
        "ShardKeyError StopTimeoutError TooManyHandlesError WorkerDiedError",
    "field_types": "Array boolean f32 f64 i8 i16 i32 i64 u8 u16 u32 u64",
    "handlers": "Handler every on",
    "journal.journal": "JournalBus",
    "journal.reports": "JournalStatistics Recovery Retention",
    "journaling": "",
    "messages": "message",
    "messenger": "JoinHandles Messenger",
    "natives": "native",
    "records.record": "Record",
    "replaying": "ReplayResult",
    "routing": "Worker",
    "schema.upcasts": "upcast",
}
_HOME_OF = {name: home for home, names in _HOMES.items() for name in names.split()}
_LOCK = _RLock()  # two threads that import a package from both ends wait for each other
__all__ = sorted(_HOME_OF)


def __getattr__(name):
    with _LOCK:
        if name in _HOME_OF:
            found = getattr(_import_module(f"nanobus.{_HOME_OF[name]}"), name)
            return globals().setdefault(name, found)
        inside = [home for home in _HOMES if home.partition(".")[0] == name]  # of a module or a folder
        for home in inside:
            _import_module(f"nanobus.{home}")
        if inside:
            return _import_module(f"nanobus.{name}")
    raise AttributeError(f"module 'nanobus' has no attribute {name!r}", name=name)


def __dir__():
    return sorted({*globals(), *__all__})
