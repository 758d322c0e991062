"""What a child says of errors and log records, so that the parent can raise and handle them as its own."""

from __future__ import annotations

import logging
import logging.handlers
import pickle
import traceback
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from nanobus.errors import HandlerError, NanobusError
from nanobus.processes.channel import Channel
from nanobus.processes.words import Failed, Logged, Refused
from nanobus.routing import Worker

logger = logging.getLogger("nanobus")


class ChildTraceback(Exception):  # noqa: N818  it is a place, not an error
    """The cause of an error that was raised in a worker's process: where, as text."""

    def __str__(self) -> str:
        return f'in the worker\'s process:\n"""\n{self.args[0]}"""'


def portable(value: object) -> bytes | None:
    """Return the pickle of `value` if that can be read again."""
    try:
        packed = pickle.dumps(value, pickle.HIGHEST_PROTOCOL)
        pickle.loads(packed)
    except Exception:
        return None
    return packed


def read(packed: bytes | None, otherwise: Any) -> Any:
    try:
        return otherwise if packed is None else pickle.loads(packed)
    except Exception:
        return otherwise


def text_of_value(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:
        return f"<{type(value).__qualname__}, whose repr raises {type(error).__qualname__}>"


def failed(error: HandlerError, worker: Worker) -> Failed:
    """What a child says of a handler's error."""
    cause = error.__cause__
    return Failed(
        text=error.args[0],
        handler=None if error.handler is None else worker.handlers.index(error.handler),
        message=None if error.message is None else portable(error.message),
        message_text=None if error.message is None else text_of_value(error.message),
        position=error.position,
        notes=tuple(getattr(error, "__notes__", ())),
        cause=None if cause is None else portable(cause),
        traceback="".join(traceback.format_exception(error if cause is None else cause)),
    )


def handler_error(report: Failed, worker: Worker) -> HandlerError:
    error = HandlerError(
        report.text,
        worker=worker.name,
        handler=None if report.handler is None else worker.handlers[report.handler],
        message=read(report.message, report.message_text),
        position=report.position,
    )
    for note in report.notes:
        error.add_note(note)
    place = ChildTraceback(report.traceback)
    cause = read(report.cause, None)
    if isinstance(cause, BaseException):
        BaseException.__setattr__(cause, "__cause__", place)        # also where its class is frozen
        error.__cause__ = cause
    else:
        error.__cause__ = place
    return error


def refused(error: BaseException, name: str) -> Refused:
    """What a child says where it cannot be the worker that it was to be."""
    own = isinstance(error, NanobusError)
    text = str(error) if own else f"{type(error).__name__}: {error}"
    return Refused(
        error=portable(error) if own else None,
        text=text if own else f"worker {name!r} failed in its process: {text}",
        traceback="".join(traceback.format_exception(error)),
    )


def refusal(report: Refused) -> NanobusError:
    error = read(report.error, None)
    if not isinstance(error, NanobusError):
        error = NanobusError(report.text)
    error.__cause__ = ChildTraceback(report.traceback)
    return error


class ChannelHandler(logging.handlers.QueueHandler):
    """Sends records to the parent, formatted and without what only this process has."""

    def __init__(self, channel: Channel) -> None:
        super().__init__(channel)  # type: ignore[arg-type]  # what `enqueue` puts records into
        self._channel = channel

    def enqueue(self, record: logging.LogRecord) -> None:
        packed = portable(record)
        if packed is None:                              # for what somebody gave it as `extra`
            record = logging.LogRecord(
                record.name, record.levelno, record.pathname, record.lineno, record.msg, None, None, record.funcName
            )
            packed = pickle.dumps(record, pickle.HIGHEST_PROTOCOL)
        self._channel.deliver(Logged(packed))


def log_to(channel: Channel, levels: dict[str, int]) -> None:
    """Let every record of this process go through the channel, and nowhere else: the parent has the handlers."""
    for one in [logging.root, *logging.root.manager.loggerDict.copy().values()]:
        if isinstance(one, logging.Logger):
            one.handlers.clear()
            one.propagate = True
            one.setLevel(logging.NOTSET)
    for name, level in levels.items():
        logging.getLogger(name).setLevel(level)
    logging.root.addHandler(ChannelHandler(channel))


def handle(report: Logged, worker: Worker) -> None:
    """Handle a child's record as if it were of this process; a filter or handler that raises does so alone."""
    record = read(report.record, None)
    if not isinstance(record, logging.LogRecord):
        log(logging.ERROR, f"worker {worker.name!r} logged what cannot be read here")
        return
    with told_alone(record):
        target = logging.getLogger(record.name)
        if target.isEnabledFor(record.levelno):
            target.handle(record)


def log(level: int, text: str, cause: BaseException | None = None) -> None:
    """Log what happens to a child, from a thread that must go on whatever filters and handlers do."""
    with told_alone(logging.LogRecord(logger.name, level, __file__, 0, text, None, None)):
        logger.log(level, "%s", text, exc_info=cause)


@contextmanager
def told_alone(record: logging.LogRecord) -> Iterator[None]:
    """Let an error of logging end where that of a handler's `emit` would: on stderr, if anywhere."""
    try:
        yield
    except BaseException:                   # a thread of ours has no use for a SystemExit either
        logging.Handler().handleError(record)
