"""Repair: cut out of a journal what cannot be read, and keep it aside.

    damage with sound slots behind it, in the same segment      padding up to the next one: positions are kept
                                       in a later segment       padding up to the segment's end
    damage with nothing sound behind it                         the journal ends there: the rest moves aside
    a segment's header                                          written anew
    a missing segment                                           what is behind moves aside, or padding takes its place
                      before all others                         the journal begins behind it
    the control file                                            made anew from the segments' headers, without cursors
    a named cursor where no message begins                      goes to the beginning of what it stands in

First everything that will change is copied aside and synced, then it is changed; the head moves last. Whoever repeats a
repair that was interrupted ends where it would have ended.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from nanobus.errors import JournalInUseError
from nanobus.journal.looking import make_control, make_gap, make_header, with_end
from nanobus.journal.looks import Finding
from nanobus.journal.scan import CONTROL_NAME, LARGEST_CONTROL, SEGMENT_HEADER_SIZE, JournalScan, segment_name
from nanobus.journal.store import open_folder

PIECE = 1 << 20  # bytes that are copied at once


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that a repair does: "pad" or "cut" from `position` to `end`, "fill" the missing segment at `position`,
    "header" of the segment at `position`, "tail": begin at `end`, "control", "cursor": from `position` to `end`."""

    action: str
    position: int
    end: int
    reason: str


@dataclass(frozen=True, slots=True)
class Plan:
    """What a repair does to a journal; `head` is its end afterwards."""

    steps: tuple[Step, ...]
    tail: int
    head: int


def plan(scan: JournalScan, findings: Sequence[Finding], *, fill_missing: bool = False) -> Plan:
    """Return what is to be done about `findings`, which a whole `scan.walk` and `stray_cursors` have yielded.

    Parameters
    ----------
    fill_missing : bool
        Put padding where a segment is missing, instead of moving what is behind it aside.
    """
    size, head = scan.segment_size, 0
    steps: list[Step] = []
    for one in findings:
        if not one.is_damage or one.kind in ("control", "schema", "cursor"):
            continue
        assert one.position is not None
        position = one.position
        if position < scan.tail:
            steps.append(Step("tail", position, scan.tail, one.reason))
        elif one.kind == "header":
            steps.append(Step("header", position, position, one.reason))
        elif one.resumes is None or (one.kind == "missing" and not fill_missing):
            head = position
            bases = [base + size for base in scan.bases() if base + size > position]
            steps.append(Step("cut", position, max([position, *bases]), one.reason))
            break
        elif one.kind == "missing":
            bases_missing = range(position - position % size, one.resumes - one.resumes % size, size)
            steps += [Step("fill", base, base + size, one.reason) for base in bases_missing]
        else:
            end = min(one.resumes, position - position % size + size)
            steps.append(Step("pad", position, end, one.reason))
    steps += [Step("control", 0, 0, one.reason) for one in findings if one.kind == "control"]
    if not any(one.action == "cut" for one in steps):
        head = max(scan.end, scan.head or 0)                # claims of the dead stay: opening makes them padding
    for one in findings:
        if one.kind == "cursor" and one.position is not None and one.resumes is not None:
            steps.append(Step("cursor", one.position, max(scan.tail, min(head, one.resumes)), one.reason))
    return Plan(tuple(steps), scan.tail, head)


@contextmanager
def alone(path: str) -> Iterator[None]:
    """Hold the journal's lock, so that nobody else has it open.

    Raises
    ------
    MappingError
        It belongs to somebody else, or others may write to it. BusFormatError: it is no folder, or a link to one.
    JournalInUseError
        Somebody has.
    """
    folder = open_folder(path)
    try:
        descriptor = os.open("lock", os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600, dir_fd=folder)
    finally:
        os.close(folder)
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            raise JournalInUseError(f"{path!r} is open in a process: a repair must have it alone") from None
        yield
    finally:
        os.close(descriptor)


class Repair:
    """Carries a Plan out. The journal must be locked: see `alone`.

    Parameters
    ----------
    scan : JournalScan
    plan : Plan
    aside : path
        The folder for what is cut away; made, must not exist.
    """

    def __init__(self, scan: JournalScan, plan: Plan, aside: str | os.PathLike[str]) -> None:
        self._scan = scan
        self._plan = plan
        self._folder = Path(scan.path)
        self._aside = Path(aside)

    def run(self) -> None:
        """Do it; what was there is in the folder aside before anything is changed."""
        scan = self._scan
        self._aside.mkdir(mode=0o700)
        for step in self._plan.steps:
            self._keep(step)
        report = [{"action": one.action, "from": one.position, "to": one.end, "why": one.reason}
                  for one in self._plan.steps]
        write_new(self._aside / "repair.json", json.dumps(report, indent=2).encode() + b"\n")
        sync_folder(self._aside)
        for step in self._plan.steps:
            self._change(step)
        is_lost = any(step.action == "control" for step in self._plan.steps)
        content = None if is_lost else scan.read_file(CONTROL_NAME, LARGEST_CONTROL)
        if content is None:
            content = make_control(
                scan.key, scan.segment_size, timestamps=scan.timestamps, checksum=scan.checksum
            )
        temporary = self._folder / f"{CONTROL_NAME}.new"
        temporary.unlink(missing_ok=True)
        moved = {step.position: step.end for step in self._plan.steps if step.action == "cursor"}
        write_new(temporary, with_end(content, self._plan.tail, self._plan.head, moved))
        temporary.replace(self._folder / CONTROL_NAME)
        sync_folder(self._folder)

    def _keep(self, step: Step) -> None:
        """Copy what the step will change."""
        size = self._scan.segment_size
        if step.action == "control":
            if (self._folder / CONTROL_NAME).exists():
                self._copy(CONTROL_NAME, 0, None, CONTROL_NAME)
        elif step.action == "header":
            name = segment_name(step.position)
            self._copy(name, 0, SEGMENT_HEADER_SIZE, f"{name}.header")
        elif step.action in ("pad", "cut"):
            for base in self._scan.bases():
                begin, end = max(step.position, base), min(step.end, base + size)
                if begin == base and step.action == "cut":
                    self._copy(segment_name(base), 0, None, segment_name(base))
                elif begin < end:
                    offset = SEGMENT_HEADER_SIZE - base
                    self._copy(segment_name(base), offset + begin, offset + end, f"{begin:016x}-{end:016x}.bytes")

    def _copy(self, name: str, start: int, end: int | None, new_name: str) -> None:
        """Copy these bytes of a file aside; zeros at their end are left out."""
        with open(self._folder / name, "rb") as source, open(self._aside / new_name, "xb") as target:
            source.seek(start)
            length = 0
            while piece := source.read(PIECE if end is None else min(PIECE, end - source.tell())):
                if written := piece.rstrip(b"\0"):
                    target.seek(source.tell() - start - len(piece))
                    target.write(written)
                    length = target.tell()
            target.truncate(length)
            target.flush()
            os.fsync(target.fileno())

    def _change(self, step: Step) -> None:
        scan, size = self._scan, self._scan.segment_size
        base = step.position - step.position % size
        path = self._folder / segment_name(base)
        if step.action == "cut":
            for one in scan.bases():
                if one >= step.position:
                    (self._folder / segment_name(one)).unlink()
            if base in scan.bases() and base < step.position:
                self._edit(path, lambda file: os.truncate(file, SEGMENT_HEADER_SIZE + step.position - base))
        elif step.action == "header":
            self._edit(path, lambda file: os.pwrite(file, make_header(scan.key, size, base), 0))
        elif step.action == "pad":
            gap = make_gap(scan.key, step.position, step.end - step.position)
            self._edit(path, lambda file: os.pwrite(file, gap, SEGMENT_HEADER_SIZE + step.position - base))
        elif step.action == "fill":
            content = make_header(scan.key, size, base).ljust(SEGMENT_HEADER_SIZE, b"\0")
            temporary = self._folder / f".{base:016x}-{os.getpid()}-0.new"
            temporary.unlink(missing_ok=True)
            write_new(temporary, content + make_gap(scan.key, base, size).ljust(SEGMENT_HEADER_SIZE, b"\0"))
            temporary.rename(path)

    def _edit(self, path: Path, change: Callable[[int], object]) -> None:
        """Change a segment's file, and let it have whole pages again, which are zero behind its old end."""
        descriptor = os.open(path, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
        try:
            change(descriptor)
            length, page = os.fstat(descriptor).st_size, os.sysconf("SC_PAGESIZE")
            os.pwrite(descriptor, bytes(max(SEGMENT_HEADER_SIZE + page - length, -length % page)), length)
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def aside_of(path: str) -> str:
    """Return the name of a folder beside the journal for what a repair cuts away; none is there yet."""
    stem = f"{path}.cut-{time.strftime('%Y%m%dT%H%M%S')}"
    name, number = stem, 1
    while os.path.lexists(name):
        number += 1
        name = f"{stem}-{number}"
    return name


def write_new(path: Path, content: bytes) -> None:
    descriptor = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC, 0o600)
    with open(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(descriptor)


def sync_folder(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
