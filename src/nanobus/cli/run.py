"""`run`: a program of nano-services, or some workers of it."""

from __future__ import annotations

import argparse
import traceback

from nanobus.cli.ending import end_by
from nanobus.cli.options import Commands, UsageError
from nanobus.cli.program import add_command, load
from nanobus.cli.signals import Signals, code_of
from nanobus.cli.streams import say
from nanobus.errors import RoutingError
from nanobus.messenger import Messenger

FAILED = 1


def add_to(commands: Commands) -> None:
    parser = add_command(commands, "run", run, "run a messenger until its workers stop; a first signal drains")
    parser.add_argument(
        "--only", metavar="WORKER", action="append",
        help="this worker of the table, the others being left to other programs on the same bus; may be repeated",
    )


def run(options: argparse.Namespace) -> int:
    failure = ""
    with Signals() as signals:
        try:
            messenger = chosen(load(options.program), options.only)
            with messenger.bus:
                attend(messenger, signals)
        except UsageError:
            raise
        except KeyboardInterrupt as interrupt:
            if signals.first is None:               # of the program's own making
                raise
            if hasattr(interrupt, "__notes__"):     # of what failed meanwhile
                failure = traceback.format_exc()
        except Exception:
            failure = traceback.format_exc()
    say(failure, end="")
    if signals.first is None or (failure and not signals.forces):   # who forces it wants its end, at this price
        return FAILED if failure else 0
    end_by(signals.first)
    return code_of(signals.first)


def chosen(messenger: Messenger, only: list[str] | None) -> Messenger:
    try:
        return messenger if only is None else messenger.part(only)
    except RoutingError as error:
        raise UsageError(str(error)) from error


def attend(messenger: Messenger, signals: Signals) -> None:
    """Run the messenger to its end."""
    try:
        signals.wait_for_start()
        with messenger.run() as handles:
            signals.stop(handles)
            handles.join()
    finally:
        messenger.stop()                            # a signal may come before `handles` are known
