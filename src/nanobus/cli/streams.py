"""The standard streams as commands need them: always there, and able to say everything."""

from __future__ import annotations

import codecs
import io
import json
import os
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, redirect_stderr, redirect_stdout, suppress

# How to encode what an encoding has not, such as half a surrogate pair: as JSON writes it in ASCII.
ESCAPES = "nanobus.escapes"


def escape(error: UnicodeError) -> tuple[str, int]:
    if not isinstance(error, UnicodeEncodeError):
        raise error
    return json.dumps(error.object[error.start:error.end])[1:-1], error.end


codecs.register_error(ESCAPES, escape)


def say(text: str, end: str = "\n") -> None:
    """Print on stderr, which may take nothing: what else there is to do is done all the same."""
    with suppress(OSError):
        print(text, file=sys.stderr, end=end, flush=True)


def sayable(text: str) -> str:
    """Return a text that UTF-8 can encode."""
    return text.encode(errors=ESCAPES).decode()


@contextmanager
def usable_streams() -> Iterator[None]:
    """Let nothing that is printed fail to be encoded, and let what is printed to a closed stream go nowhere."""
    with ExitStack() as stack:
        for stream, redirect in ((sys.stdout, redirect_stdout), (sys.stderr, redirect_stderr)):
            if stream is None:
                stack.enter_context(redirect(stack.enter_context(open(os.devnull, "w", errors=ESCAPES))))
        if isinstance(sys.stdout, io.TextIOWrapper):
            stack.callback(set_errors, sys.stdout, sys.stdout.errors)
            set_errors(sys.stdout, ESCAPES)
        stack.callback(abandon_refused)
        yield


def abandon_refused() -> None:
    """Let what a stream still holds, and does not get rid of, go nowhere: Python's own try at exit would say 120."""
    for stream in (sys.stdout, sys.stderr):
        try:
            stream.flush()
        except OSError:
            with open(os.devnull, "wb") as nowhere:
                os.dup2(nowhere.fileno(), stream.fileno())


def set_errors(stream: io.TextIOWrapper, errors: str | None) -> None:
    with suppress(OSError):                             # it is flushed first, and may have nobody to take it
        stream.reconfigure(errors=errors)
