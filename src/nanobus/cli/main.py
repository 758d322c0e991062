"""Arguments in, exit code out."""

from __future__ import annotations

import argparse
import os
import sys
import traceback
from collections.abc import Sequence
from contextlib import suppress
from importlib.metadata import version
from typing import NoReturn

from nanobus.cli import cat, export, info, repair, trace, verify
from nanobus.cli.options import UsageError
from nanobus.cli.streams import usable_streams
from nanobus.errors import NanobusError

WRONG_USAGE = 2
OUR_MISTAKE = 70  # EX_SOFTWARE of sysexits.h; 1, which Python would say, means that the journal is damaged
INTERRUPTED = 130
NOBODY_READS = 141


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        self.exit(WRONG_USAGE, f"nanobus: {message}; `{self.prog} --help` tells more\n")


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command; return its exit code."""
    with usable_streams():
        return run(arguments)


def run(arguments: Sequence[str] | None) -> int:
    try:
        options = make_parser().parse_args(arguments)
        code: int = options.run(options)
        sys.stdout.flush()
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # for the flush at exit
        return NOBODY_READS
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        return complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
    except (NanobusError, UsageError) as error:
        return complain(str(error))
    except Exception:
        traceback.print_exc()
        return OUR_MISTAKE
    return code


def complain(text: str) -> int:
    with suppress(OSError):                             # nobody reads that either
        print(f"nanobus: {' '.join(text.split())}", file=sys.stderr)
    return WRONG_USAGE


def make_parser() -> Parser:
    parser = Parser(prog="nanobus", description="Look at what flowed over a bus.")
    parser.add_argument("--version", action="version", version=f"nanobus {version('nanobus')}")
    groups = parser.add_subparsers(metavar="COMMAND", required=True)
    journal = groups.add_parser("journal", help="look into a journal, or repair it")
    commands = journal.add_subparsers(metavar="COMMAND", required=True)
    for command in (info, cat, verify, repair, export, trace):
        command.add_to(commands)
    return parser
