"""`check`: what is wrong with a program's routing table. Nothing is run."""

from __future__ import annotations

import argparse
import sys
import traceback
import warnings

from nanobus.cli.options import Commands, UsageError
from nanobus.cli.program import add_command, load
from nanobus.cli.streams import say
from nanobus.errors import RoutingError, RoutingWarning
from nanobus.messenger import Messenger

WRONG = 1


def add_to(commands: Commands) -> None:
    parser = add_command(commands, "check", run, "tell the errors and warnings of a routing table, and run nothing")
    parser.add_argument("--strict", action="store_true", help="take every warning for an error")


def run(options: argparse.Namespace) -> int:
    sys.dont_write_bytecode = True                  # a look leaves nothing behind
    messenger: Messenger | None = None
    errors: list[str] = []
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", RoutingWarning)
        try:
            messenger = load(options.program)
        except RoutingError as error:
            errors.append(str(error))
        except UsageError:
            raise
        except Exception:
            say(traceback.format_exc(), end="")
            return WRONG
    if messenger is not None:
        messenger.bus.close()                       # whoever made the messenger has opened it
    doubts = []
    for one in caught:
        if issubclass(one.category, RoutingWarning):
            doubts.append(str(one.message))
        else:
            warnings.showwarning(one.message, one.category, one.filename, one.lineno)
    tell("error" if options.strict else "warning", doubts)
    tell("error", errors)
    if messenger is None or (options.strict and doubts):
        return WRONG
    print(f"sound: {extent(messenger)}")
    return 0


def tell(what: str, texts: list[str]) -> None:
    for text in dict.fromkeys(texts):               # a module may make its messenger more than once
        print(f"{what}: {' '.join(text.split())}")


def extent(messenger: Messenger) -> str:
    counts = {
        "worker": len(messenger.workers),
        "handler": sum(len(worker.handlers) for worker in messenger.workers),
        "route": sum(len(worker.routes) for worker in messenger.workers),
    }
    return ", ".join(f"{count} {what}{'' if count == 1 else 's'}" for what, count in counts.items())
