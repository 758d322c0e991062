"""nanobus: software made of nano-services on a lock-free, memory-mapped message bus.

    messenger  routing                    lifecycle
    handlers   messages records codecs    the user's side
    dispatch                              vtable, worker loop, outbox      compiled
    bus                                   contract, ring, senders          compiled
    memory                                mappings                         compiled
    core                                  layout, atomics, clock, crc32c   C inline

Imports point down only.
"""

from nanobus.bus.circular import CircularBus
from nanobus.bus.envelope import Envelope, Gap
from nanobus.bus.sender import Sender
from nanobus.errors import (
    BusClosedError,
    BusFormatError,
    BusFullError,
    CorruptMessageError,
    DecodeError,
    EncodeError,
    HandleInUseError,
    HandlerError,
    MappingError,
    MessageError,
    MessageTooLargeError,
    NanobusError,
    NotRunningError,
    RecordReleasedError,
    RoutingError,
    RoutingWarning,
    StopTimeoutError,
    TooManyHandlesError,
)
from nanobus.handlers import Handler, every, on
from nanobus.messages import message
from nanobus.messenger import JoinHandles, Messenger
from nanobus.routing import Worker
