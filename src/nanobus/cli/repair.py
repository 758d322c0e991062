"""`repair`: cut out what cannot be read, and keep it in a folder beside the journal."""

from __future__ import annotations

import argparse
import json
import os
from contextlib import nullcontext

from nanobus.cli.looking import looking
from nanobus.cli.options import Commands, add_command
from nanobus.cli.verify import count
from nanobus.journal.repair import Plan, Repair, Step, alone, aside_of, plan
from nanobus.schema import Schema, save, update

WORDS = {
    "pad": "positions {0.position} to {0.end} become padding",
    "cut": "everything from position {0.position} on is cut away",
    "fill": "padding takes the place of the missing segment {0.position}",
    "header": "the header of segment {0.position} is written anew",
    "tail": "the journal begins at {0.end}",
    "cursor": "the named cursor at {0.position} goes to {0.end}",
    "control": "the control file is made anew, without named cursors",
}


def add_to(commands: Commands) -> None:
    parser = add_command(commands, "repair", run, "cut out what cannot be read, and keep it in a folder beside")
    parser.add_argument("--dry-run", action="store_true", help="say what would be done, and do nothing")
    parser.add_argument(
        "--keep", action="store_true", help="keep what is behind a missing segment, instead of moving it aside"
    )


def run(options: argparse.Namespace) -> int:
    with looking(options.journal) as look:
        with nullcontext() if options.dry_run else alone(look.scan.path):
            count(look)
            knows_no_schema = any(one.kind == "schema" for one in look.findings)
            found = plan(look.scan, look.findings, fill_missing=options.keep)
            aside = aside_of(look.scan.path)
            forgets = look.schema.cut(found.head) is not look.schema
            if not options.dry_run:
                if found.steps:
                    Repair(look.scan, found, aside).run()
                if not knows_no_schema:                 # also without steps: whoever took them may have come no further
                    forgets = cut_schema(look.scan.path, found.head, aside)
        show(found, aside if found.steps or forgets else None, forgets, options)
        return int(knows_no_schema)


def cut_schema(path: str, head: int, aside: str) -> bool:
    """Forget what schema.json says of positions that are gone, and return whether it said anything.

    What it said is kept aside, with what it was said of.
    """
    forgets = False

    def cut(known: Schema) -> Schema:
        nonlocal forgets
        left = known.cut(head)
        forgets = left is not known
        if forgets:
            os.makedirs(aside, mode=0o700, exist_ok=True)
            save(aside, known)
        return left

    update(path, cut)
    return forgets


def show(found: Plan, aside: str | None, forgets: bool, options: argparse.Namespace) -> None:
    if options.json:
        steps = [{"action": one.action, "position": one.position, "end": one.end, "reason": one.reason}
                 for one in found.steps]
        print(json.dumps({"steps": steps, "schema": forgets, "head": found.head, "aside": aside,
                          "done": not options.dry_run}))
        return
    for step in found.steps:
        print(wording(step))
    if forgets:
        print(f"schema.json forgets what it says of positions behind {found.head}")
    if aside is None:
        print("nothing to repair")
    elif options.dry_run:
        print("nothing was changed")
    else:
        print(f"the journal ends at {found.head}; what was cut out is in {aside}")


def wording(step: Step) -> str:
    return f"{WORDS[step.action].format(step)}: {step.reason}"
