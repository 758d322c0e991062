"""Every error nanobus raises by a name of its own. A bad argument is a ValueError or TypeError as well."""

from __future__ import annotations

from typing import Any


class NanobusError(Exception):
    """The root: catches every error below."""


class MappingError(NanobusError, OSError):
    """The operating system refused memory; `errno` says why, the message what was asked for."""


class BusClosedError(NanobusError):
    """The bus, the handle or the mapping was closed, here or by another thread while this call waited."""


class BusFullError(NanobusError):
    """There is no room: now (`overflow="error"`), within the timeout, or in a worker's outbox."""


class HandleInUseError(NanobusError):
    """A reader or writer was used by a second thread while the first was inside a call."""


class BusFormatError(NanobusError):
    """The file is no bus, one of another version, or one whose parts contradict each other."""


class JournalVersionError(BusFormatError):
    """The journal was written by another version of the format, or on a machine of another byte order."""


class CorruptJournalError(BusFormatError):
    """The journal is damaged: a file is missing, truncated, of another journal, or holds bytes nobody wrote there.

    Attributes
    ----------
    position : int or None
        The first position that cannot be read; None where the control file itself is damaged.
    """

    def __init__(self, text: str, *, position: int | None = None) -> None:
        super().__init__(text)
        self.position = position


class JournalInUseError(NanobusError):
    """Another process is recovering or repairing the journal, or has it open where it must be open nowhere."""


class CursorInUseError(NanobusError):
    """A named cursor has a reader already, here or in another process."""


class TooManyHandlesError(NanobusError):
    """Every line of the control block for readers, or for writers, is taken."""


class CorruptMessageError(NanobusError):
    """A slot's checksum does not fit its bytes."""


class MessageTooLargeError(NanobusError, ValueError):
    """The payload is larger than `bus.max_payload`."""


class MessageError(NanobusError, TypeError):
    """A message class cannot be declared, or an object of a class that was never declared is sent."""


class RecordReleasedError(NanobusError, ValueError):
    """A Record claimed in place was used after its `with` block: its bytes belong to the bus now."""


class EncodeError(NanobusError):
    """A codec failed to turn a message into bytes; nothing was sent. The codec's own error is the `__cause__`."""


class DecodeError(NanobusError):
    """A codec failed to turn bytes into a message. The codec's own error is the `__cause__`."""


class SchemaError(NanobusError):
    """The schema.json of a journal is no valid schema; the text names file, rule and value."""


class SchemaMismatchError(NanobusError):
    """A message class has another layout than the journal holds under its id; the text shows each difference."""


class RoutingError(NanobusError, ValueError):
    """The workers, handlers and routes of a messenger contradict each other, or a worker cannot have a process of its
    own. No worker was started; but one that is to replace a dead process may meet it too, and `join` raises it."""


class RoutingWarning(UserWarning):
    """A route that can never fire, or a handler method that no route reaches."""


class ShardKeyError(NanobusError, TypeError):
    """A message lacks the field that its receivers are sharded by, or what is in it is no key."""


class NotRunningError(NanobusError):
    """A handler that is in no running worker was asked to send."""


class StopTimeoutError(NanobusError, TimeoutError):
    """Workers had not stopped within the timeout; the message names them."""


class DetailedError(NanobusError):
    """One with attributes: they go with its pickle."""

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self).__new__, (type(self), *self.args), self.__dict__


class HandlerError(DetailedError):
    """A handler raised. The handler's own error is the `__cause__`. Of one in another process, the cause of that is a
    text with its traceback, which stands alone where the error does not pickle.

    Attributes
    ----------
    worker : str
        Name of the worker.
    handler : type or None
        The handler's class; None where the message could not even be decoded.
    message : object or None
        The message at hand; None outside of one (`__init__`, `on_start`, `on_loop`, `on_stop`). Its repr where it comes
        from another process and does not pickle.
    position : int or None
        Its position on the bus.
    """

    def __init__(self, text: str, *, worker: str, handler: type | None, message: Any, position: int | None) -> None:
        super().__init__(text)
        self.worker = worker
        self.handler = handler
        self.message = message
        self.position = position


class NativeHandlerError(DetailedError):
    """A native handler returned another number than 0; what it tried to send and could not is the `__cause__`.

    Attributes
    ----------
    code : int
        The number. Those below 0 are the ones that sending returns.
    """

    def __init__(self, text: str, *, code: int) -> None:
        super().__init__(text)
        self.code = code


class WorkerDiedError(DetailedError):
    """The process of a worker ended before the worker did, and was not started again.

    Attributes
    ----------
    worker : str
        Name of the worker.
    exit_code : int or None
        What the process exited with; None: a signal ended it.
    signal : str or None
        Name of the signal, such as "SIGKILL".
    position : int or None
        On the bus: every message before it was handled. None: it had read its last one, or its cursor was not there.
    """

    def __init__(
        self, text: str, *, worker: str, exit_code: int | None, signal: str | None, position: int | None
    ) -> None:
        super().__init__(text)
        self.worker = worker
        self.exit_code = exit_code
        self.signal = signal
        self.position = position


class DivergenceError(DetailedError):
    """A handler, run again on a recorded message, does not send what the record holds for it.

    Attributes
    ----------
    position : int
        Of the message that was handled.
    handler : type
        The handler's class.
    expected : object or None
        The message that the record holds, decoded where a codec is at hand, else bytes; None: it holds no more of this
        handler for that message.
    actual : object or None
        The message that was sent this time; None: no more was sent.
    """

    def __init__(self, text: str, *, position: int, handler: type, expected: Any, actual: Any) -> None:
        super().__init__(text)
        self.position = position
        self.handler = handler
        self.expected = expected
        self.actual = actual
