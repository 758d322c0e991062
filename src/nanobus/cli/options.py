"""What commands have in common."""

from __future__ import annotations

import argparse
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from nanobus.bus.times import timestamp_of


class UsageError(Exception):
    """What was asked for cannot be done."""


class Commands(Protocol):
    """What argparse adds commands to."""

    def add_parser(self, name: str, *, help: str, description: str) -> argparse.ArgumentParser: ...  # noqa: A002


@dataclass(frozen=True, slots=True)
class Moment:
    """A place in a journal: a position, or a time in unix ns."""

    position: int | None
    time: int | None


def add_command(
    commands: Commands, name: str, run: Callable[[argparse.Namespace], int], text: str
) -> argparse.ArgumentParser:
    """Add a command that looks at a journal."""
    parser = commands.add_parser(name, help=text, description=f"{text[0].upper()}{text[1:]}.")
    parser.add_argument("journal", metavar="JOURNAL", help="the journal's folder")
    parser.add_argument("--json", action="store_true", help="write JSON")
    parser.set_defaults(run=run)
    return parser


def add_selection(parser: argparse.ArgumentParser, limit: bool = True) -> None:
    """Add what chooses messages."""
    place = "a position, or an ISO time, which is local where it names no zone"
    parser.add_argument("--from", dest="start", type=moment, metavar="TIME|POSITION", help=f"the first: {place}")
    parser.add_argument("--until", type=moment, metavar="TIME|POSITION", help="stop before this one")
    parser.add_argument("--source", action="append", metavar="NAME|ID", help="only of this handler; may be repeated")
    parser.add_argument("--message", action="append", metavar="NAME|ID", help="only this message; may be repeated")
    parser.set_defaults(limit=None)
    if limit:
        parser.add_argument("--limit", type=count, metavar="N", help="no more than N messages")


def moment(text: str) -> Moment:
    if text.isdecimal():
        return Moment(int(text), None)
    try:
        time = datetime.fromisoformat(text).astimezone()
    except (ValueError, OverflowError):              # the latter: in no time zone but its own
        raise argparse.ArgumentTypeError(f"must be a position or an ISO time, got {text!r}") from None
    return Moment(None, timestamp_of(time))


def count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"must be a number >= 0, got {text!r}")
    return int(text)
