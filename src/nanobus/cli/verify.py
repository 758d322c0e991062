"""`verify`: whether all of a journal can be read. Slot by slot, with checksums, in compiled code."""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Iterator
from dataclasses import dataclass

from nanobus.bus.envelope import Envelope
from nanobus.cli.looking import Look, as_dict, looking, told
from nanobus.cli.options import Commands, add_command
from nanobus.cli.progress import Progress
from nanobus.journal.scan import JournalScan
from nanobus.journal.scanning import SegmentScan
from nanobus.journal.strays import stray_cursors

STEP = 1 << 24  # positions between two looks at the clock


@dataclass
class Tally:
    """Counts what a walk passes."""

    scan: JournalScan
    progress: Progress
    start: int
    messages: int = 0
    payload_bytes: int = 0
    padding_bytes: int = 0

    def take(self, scan: SegmentScan) -> Iterator[Envelope]:
        """Pass the sound slots of a segment; nobody wants to see them."""
        before = scan.messages, scan.payload_bytes, scan.padding_bytes
        limit = self.scan.limit
        while scan.position < limit and scan.walk(min(scan.position + STEP, limit)):
            self.progress.show(scan.position - self.start)
        self.messages += scan.messages - before[0]
        self.payload_bytes += scan.payload_bytes - before[1]
        self.padding_bytes += scan.padding_bytes - before[2]
        return iter(())


def add_to(commands: Commands) -> None:
    add_command(commands, "verify", run, "check every message; exit code 0 sound, 1 damaged, 2 no journal")


def run(options: argparse.Namespace) -> int:
    with looking(options.journal) as look:
        began = time.perf_counter()
        tally = count(look)
        seconds = time.perf_counter() - began
        claims = [one for one in look.findings if one.kind == "claim"]
        damages = [one for one in look.findings if one.is_damage]
        row = {
            "sound": not damages, "tail": look.scan.tail, "end": look.scan.end, "head": look.scan.head,
            "messages": tally.messages, "payload_bytes": tally.payload_bytes, "padding_bytes": tally.padding_bytes,
            "in_flight": [as_dict(one) for one in claims], "damage": [as_dict(one) for one in damages],
            "checksums": look.scan.checksum, "seconds": round(seconds, 6),
        }
        if options.json:
            print(json.dumps(row))
        else:
            for one in look.findings:
                if one.kind == "claim":
                    print(told(one))
            rate = (look.scan.end - look.scan.tail) / max(seconds, 1e-9) / 1e6
            print(
                f"{'damaged' if damages else 'sound'}: {tally.messages} messages of {tally.payload_bytes} bytes from "
                f"position {look.scan.tail} to {look.scan.end}, {len(damages)} damages, {len(claims)} in flight, "
                f"{seconds:.2f} s, {rate:.0f} MB/s{'' if look.scan.checksum else '; messages carry no checksums'}"
            )
        return int(bool(damages))


def count(look: Look) -> Tally:
    """Walk over the whole journal; the findings are the look's afterwards."""
    start = look.scan.tail
    with Progress((look.scan.head or 0) - start) as progress:
        tally = Tally(look.scan, progress, start)
        for _ in look.messages(take=tally.take):
            pass
    strays = [*stray_cursors(look.scan, look.findings)]
    look.findings += strays
    for one in strays:
        look.tell(one)
    return tally
