"""A journal and its schema, opened for a look."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from nanobus.bus.envelope import Envelope
from nanobus.cli.streams import say
from nanobus.errors import SchemaError
from nanobus.journal.looks import Finding
from nanobus.journal.scan import Again, JournalScan, Take, every_message
from nanobus.schema import Decoder, Schema, load


@dataclass
class Look:
    """A scan, what the ids mean, and what was found to be wrong."""

    scan: JournalScan
    schema: Schema
    findings: list[Finding] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.decoder = Decoder(self.schema)

    @property
    def is_damaged(self) -> bool:
        return any(one.is_damage for one in self.findings)

    def messages(
        self,
        start: int | None = None,
        *,
        take: Take = every_message,
        again: Again | None = None,
        limit: int | None = None,
        tells: bool = True,
    ) -> Iterator[Envelope]:
        """Yield the sound messages; keep what is damaged, tell of it on stderr, and go on behind it."""
        for found in self.scan.walk(start, take, again, limit):
            if not isinstance(found, Finding):
                yield found
            elif found not in self.findings[-1:]:       # where one look ends, the next may begin
                self.findings.append(found)
                if tells:
                    self.tell(found)

    def tell(self, found: Finding) -> None:
        """Say a finding on stderr, unless it is nothing wrong."""
        if found.kind != "claim":
            sys.stdout.flush()
            say(f"nanobus: {told(found)}")


@contextmanager
def looking(path: str) -> Iterator[Look]:
    """Open a journal for a look. A schema that cannot be read is told of, and payloads stay bytes."""
    with JournalScan(path) as scan:
        findings = list(scan.findings())
        try:
            schema = load(scan.path)
        except SchemaError as error:
            schema = Schema()
            findings.append(Finding("schema", None, None, str(error)))
        for one in findings:
            say(f"nanobus: {told(one)}")
        yield Look(scan, schema, findings)


def told(one: Finding) -> str:
    """Say a Finding in one line."""
    if one.position is None:
        return one.reason
    what = "in flight" if one.kind == "claim" else "removed" if one.kind == "removed" else "damaged"
    onward = "nothing can be read behind it" if one.resumes is None else f"goes on at {one.resumes}"
    return f"{what} at position {one.position}: {one.reason}; {onward}"


def as_dict(one: Finding) -> dict[str, object]:
    return {"kind": one.kind, "position": one.position, "resumes": one.resumes, "reason": one.reason}
