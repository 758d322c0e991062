"""Arguments in, exit code out."""

from __future__ import annotations

import argparse
import errno
import sys
import traceback
from collections.abc import Sequence
from importlib.metadata import version
from typing import NoReturn

from nanobus.cli import cat, check, export, info, repair, trace, verify
from nanobus.cli import run as run_program
from nanobus.cli.options import UsageError
from nanobus.cli.streams import say, usable_streams
from nanobus.errors import NanobusError

WRONG_USAGE = 2
DISK_REFUSES = 74  # EX_IOERR of sysexits.h
OUR_MISTAKE = 70  # EX_SOFTWARE of sysexits.h; 1, which Python would say, means that the journal is damaged
INTERRUPTED = 130
NOBODY_READS = 141

REFUSALS = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


class Parser(argparse.ArgumentParser):
    """Says what is wrong in one line."""

    def error(self, message: str) -> NoReturn:
        complain(f"{message}; `{self.prog} --help` tells more")
        self.exit(WRONG_USAGE)


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
        return NOBODY_READS
    except KeyboardInterrupt:
        return INTERRUPTED
    except OSError as error:
        complain(f"{error.filename}: {error.strerror}" if error.filename else str(error))
        return DISK_REFUSES if error.errno in REFUSALS else WRONG_USAGE
    except (NanobusError, UsageError) as error:
        complain(str(error))
        return WRONG_USAGE
    except Exception:
        say(traceback.format_exc(), end="")
        return OUR_MISTAKE
    return code


def complain(text: str) -> None:
    say(f"nanobus: {' '.join(text.split())}")


def make_parser() -> Parser:
    parser = Parser(prog="nanobus", description="Run a program, or look at what flowed over its bus.")
    parser.add_argument("--version", action="version", version=f"nanobus {version('nanobus')}")
    groups = parser.add_subparsers(metavar="COMMAND", required=True)
    run_program.add_to(groups)
    check.add_to(groups)
    journal = groups.add_parser("journal", help="look into a journal, or repair it")
    commands = journal.add_subparsers(metavar="COMMAND", required=True)
    for command in (info, cat, verify, repair, export, trace):
        command.add_to(commands)
    return parser
