"""`cat`: the messages of a journal. `tail`: the last ones, and those that come."""

from __future__ import annotations

import argparse
import sys
import time
from collections import deque

from nanobus.bus.envelope import Envelope
from nanobus.cli.looking import Look, looking
from nanobus.cli.options import Commands, add_command, add_selection, count
from nanobus.cli.selection import Selection
from nanobus.cli.wording import Wording, as_json

LOOK_AGAIN = 0.05  # seconds


def add_to(commands: Commands) -> None:
    add_selection(add_command(commands, "cat", run, "print messages, decoded through the journal's schema"))
    tail = add_command(commands, "tail", run_tail, "print the last messages")
    tail.add_argument("-n", dest="number", type=count, default=10, metavar="N", help="how many (default 10)")
    tail.add_argument("-f", "--follow", action="store_true", help="go on with those that come, until Ctrl-C")
    add_selection(tail, limit=False)


def run(options: argparse.Namespace) -> int:
    with looking(options.journal) as look:
        wording = Wording(look.decoder)
        selection = Selection(options, look, wording)
        for message in selection.of(look.messages(selection.start)):
            show(wording, message, options.json)
        return int(look.is_damaged)


def run_tail(options: argparse.Namespace) -> int:
    with looking(options.journal) as look:
        wording = Wording(look.decoder)
        selection = Selection(options, look, wording)
        last = last_ones(look, selection, options.number, options.follow)
        for message in last:
            show(wording, message, options.json)
        for finding in look.findings:
            if finding.position is not None:            # of the others `looking` has told
                look.tell(finding)
        if not options.follow:
            return int(look.is_damaged)
        sys.stdout.flush()
        for message in selection.of(look.messages(look.scan.end, again=again)):
            show(wording, message, options.json)
        return int(look.is_damaged)


def show(wording: Wording, message: Envelope, is_json: bool) -> None:
    text = as_json(wording.row(message)) if is_json else wording.line(message)
    sys.stdout.write(f"{text}\n")


def again() -> bool:
    sys.stdout.flush()
    time.sleep(LOOK_AGAIN)
    return True


def last_ones(look: Look, selection: Selection, number: int, follows: bool) -> deque[Envelope]:
    """Return the last messages that are wanted, looking at the last segment, at the last two, four, ...

    Who follows goes on where this ended: at the first claim in flight, for what it becomes is one of those that come.
    """
    first = selection.start or 0
    look.scan.refresh()
    end = look.scan.settled
    bases = [base for base in look.scan.bases() if end is None or base <= end]
    limit = end if follows else None
    segments = 1
    while True:
        start = bases[-segments] if segments < len(bases) else look.scan.tail
        look.findings = [one for one in look.findings if one.position is None]
        messages = look.messages(max(start, first), limit=limit, tells=False)
        found = deque(selection.of(messages), maxlen=number)
        if len(found) == number or segments >= len(bases) or start <= first:
            return found
        segments *= 2
