"""`trace`: what led to a message, up to the first cause, and all that it led to."""

from __future__ import annotations

import argparse
from collections import defaultdict
from collections.abc import Iterator

from nanobus.bus.envelope import Envelope
from nanobus.cli.looking import Look, looking
from nanobus.cli.options import Commands, UsageError, add_command, count
from nanobus.cli.progress import Progress
from nanobus.cli.wording import Wording, as_json

DEEPEST_INDENT = 20  # steps that are shown as such
SHOW_EVERY = 4096  # messages


def add_to(commands: Commands) -> None:
    parser = add_command(commands, "trace", run, "show the causes of a message up to the first, and all its effects")
    parser.add_argument("position", type=count, metavar="POSITION", help="of the message")
    parser.add_argument(
        "--limit", type=count, default=1000, metavar="N", help="no more than N causes and N effects (default 1000)"
    )


def run(options: argparse.Namespace) -> int:
    with looking(options.journal) as look:
        asked = look.scan.read(options.position)
        if asked is None:
            raise UsageError(f"no message that can be read begins at position {options.position}")
        wording = Wording(look.decoder)
        causes, before = causes_of(look, asked, options.limit)
        effects, behind = effects_of(look, asked, options.limit)
        shown = [*enumerate(causes), *tree(asked, effects, len(causes))]
        if options.json:
            rows = [{**wording.row(one), "depth": depth, "asked": one.position == asked.position}
                    for depth, one in shown]
            note = "; ".join(filter(None, (before, behind))) or None
            print(as_json({"asked": asked.position, "messages": rows, "note": note}))
        else:
            if before:
                print(f"  {before}")
            for depth, one in shown:
                mark = ">" if one.position == asked.position else " "
                print(f"{mark} {wording.line(one, '  ' * min(depth, DEEPEST_INDENT))}")
            if behind:
                print(f"  {behind}")
        return int(look.is_damaged)


def causes_of(look: Look, asked: Envelope, limit: int) -> tuple[list[Envelope], str | None]:
    """Return the chain of causes, the first one first, and why it begins there, if it should not."""
    chain: list[Envelope] = []
    cause = asked.cause
    while cause is not None:
        if len(chain) == limit:
            return chain[::-1], f"more causes before: --limit {limit}"
        found = look.scan.read(cause)
        if found is None:
            return chain[::-1], f"the cause at position {cause} is not in the journal any more, or damaged"
        chain.append(found)
        cause = found.cause
    return chain[::-1], None


def effects_of(look: Look, asked: Envelope, limit: int) -> tuple[dict[int, list[Envelope]], str | None]:
    """Return position -> its effects, of the message and of its effects, and whether there are more than these.

    One walk, for causes come first.
    """
    effects: defaultdict[int, list[Envelope]] = defaultdict(list)
    members = {asked.position}
    with Progress((look.scan.head or 0) - asked.position) as progress:
        for number, one in enumerate(look.messages(asked.position)):
            if one.cause in members:
                if len(members) > limit:
                    return effects, f"more effects, from position {one.position} on: --limit {limit}"
                members.add(one.position)
                effects[one.cause].append(one)
            if number % SHOW_EVERY == 0:
                progress.show(one.position - asked.position)
    return effects, None


def tree(asked: Envelope, effects: dict[int, list[Envelope]], depth: int) -> Iterator[tuple[int, Envelope]]:
    """Yield (depth, message), each before its effects; chains may be longer than Python's stack."""
    waiting = [(depth, asked)]
    while waiting:
        depth, one = waiting.pop()
        yield depth, one
        waiting += [(depth + 1, effect) for effect in reversed(effects.get(one.position, ()))]
