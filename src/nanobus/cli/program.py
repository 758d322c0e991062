"""`MODULE:MESSENGER`: the messenger that a module of the user's has, or makes.

Importing the module, and calling what makes the messenger, run the user's code: their errors are the program's, and are
not caught here.
"""

from __future__ import annotations

import argparse
import importlib
import os
import sys
from collections.abc import Callable
from types import ModuleType

from nanobus.cli.options import Commands, UsageError
from nanobus.messenger import Messenger


def add_command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    """Add a command that is about a program."""
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument(
        "program", metavar="MODULE:MESSENGER",
        help="what to import, from the current folder too, and its Messenger, or a callable that returns one",
    )
    parser.set_defaults(run=run)
    return parser


def load(place: str) -> Messenger:
    """Return the messenger at `module:name`, or what the callable there returns."""
    module_name, _, path = place.partition(":")
    names = path.split(".")
    if not all(part.isidentifier() for part in [*module_name.split("."), *names]):
        raise UsageError(f"MODULE:MESSENGER must be like app:messenger, got {place!r}")
    found: object = module_of(module_name)
    for number, name in enumerate(names, 1):
        try:
            found = getattr(found, name)
        except AttributeError:
            raise UsageError(f"module {module_name!r} has no {'.'.join(names[:number])!r}") from None
    if not isinstance(found, Messenger) and callable(found):
        found = found()
    if not isinstance(found, Messenger):
        raise UsageError(f"{place} must be a Messenger or a callable that returns one, got {found!r}")
    return found


def module_of(name: str) -> ModuleType:
    folder = os.getcwd()
    if folder not in sys.path:
        sys.path.insert(0, folder)
    try:
        return importlib.import_module(name)
    except ModuleNotFoundError as error:
        if error.name is None or not f"{name}.".startswith(f"{error.name}."):
            raise                                   # another one, which the module wants
        raise UsageError(f"there is no module {error.name!r}, neither in {folder} nor where Python looks") from None
