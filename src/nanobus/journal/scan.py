"""JournalScan: a look at a journal that takes no lock, writes nothing, and goes on behind damage.

    position --> segment there? --> sound slots --> what stands behind them?
                    |                                 |  the segment's end      the next segment
                    | no: missing, or the end         |  nothing, head is here  the end
                                                      |  an intent              a claim in flight, or of the dead
                                                      |  else                   damage; on to the next stamp

A stamp depends on its position and on the journal's random key: one that fits is a slot's, wherever it is found. Only
within a batch that is not committed it is none yet, or never will be: who finds one elsewhere than behind a slot asks
for the batch around it, and looks again (`is_visible` in bus/claims.pxd).
The order of the looks is that of journal_reader.pyx: first the slot, then head and intents, then the slot again.
"""

from __future__ import annotations

import errno
import os
import re
import stat
from collections.abc import Callable, Iterator
from contextlib import suppress
from types import TracebackType
from typing import Self

from nanobus.bus.envelope import Envelope
from nanobus.errors import BusFormatError, CorruptJournalError
from nanobus.journal.looking import look_at_control, look_at_header
from nanobus.journal.looks import ControlLook, Finding, HeaderLook, Intent
from nanobus.journal.scanning import SegmentScan

CONTROL_NAME = "control"
SEGMENT_NAME = re.compile(r"([0-9a-f]{16})\.segment")
SEGMENT_HEADER_SIZE = 4096
SLOT_ALIGNMENT = 32
LARGEST_CONTROL = 1 << 20
NO_LIMIT = 1 << 64
IN_FLIGHT = "its writer is at it"

Take = Callable[[SegmentScan], Iterator[Envelope]]
Again = Callable[[], bool]


def every_message(scan: SegmentScan) -> Iterator[Envelope]:
    """Take the messages of a segment as they come."""
    while (message := scan.next()) is not None:
        yield message


class JournalScan:
    """A journal's folder, looked at.

    Parameters
    ----------
    path : str or path-like

    Attributes
    ----------
    path : str
        Absolute.
    control : ControlLook or None
        As of the last look; None where the file is missing or damaged, and `control_reason` says what it is.
    key, segment_size : int
        From the control file, else from the first sound header of a segment.
    timestamps, checksum : bool
        Whether messages have them.
    limit : int
        Where `walk` ends at the latest: it would never catch up with those who write faster than it reads.
    end : int
        Behind the last sound slot that `walk` has passed.

    Raises
    ------
    BusFormatError
        Neither a control file nor a segment's header is there. JournalVersionError: those of another version are.
    OSError
        The folder or a file cannot be read.

    Notes
    -----
    For one thread. Others may write, recover and let segments go meanwhile.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path = os.path.abspath(os.fsdecode(path))
        try:
            self._folder = os.open(self.path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        except NotADirectoryError:
            raise BusFormatError(f"{self.path!r} is no folder, and so no journal") from None
        try:
            self.control: ControlLook | None = None
            self.control_reason = ""
            self.refresh()
            self.key, self.segment_size = self._identity()
            self.timestamps = self.checksum = False
            self.timestamps, self.checksum = self._traits()
        except BaseException:
            self.close()
            raise
        self.end = 0
        self.limit = NO_LIMIT
        self._last: SegmentScan | None = None

    def close(self) -> None:
        """Give the folder back."""
        if self._folder >= 0:
            os.close(self._folder)
            self._folder = -1

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.close()

    def refresh(self) -> None:
        """Look at the control file again."""
        content = self.read_file(CONTROL_NAME, LARGEST_CONTROL)
        if content is None:
            self.control, self.control_reason = None, "the control file is missing"
            return
        try:
            self.control = look_at_control(content, os.path.join(self.path, CONTROL_NAME))
        except CorruptJournalError as error:
            self.control, self.control_reason = None, str(error)

    def read_file(self, name: str, limit: int) -> bytes | None:
        """Return the first `limit` bytes of a file in the folder; None where there is no such file."""
        descriptor = self._open(name)
        if descriptor is None:
            return None
        with open(descriptor, "rb") as file:
            return file.read(limit)

    def bases(self) -> list[int]:
        """Return the first positions of the segments there are, in order."""
        found = (SEGMENT_NAME.fullmatch(name) for name in os.listdir(self._folder))
        return sorted(int(match[1], 16) for match in found if match)

    def header(self, base: int) -> HeaderLook | None:
        """Return what the header of a segment says; None where it is missing or damaged."""
        content = self.read_file(segment_name(base), SEGMENT_HEADER_SIZE)
        return None if content is None else look_at_header(content)

    def segment(self, position: int) -> SegmentScan | None:
        """Return a scan of the segment that holds `position`; None where there is no file of it."""
        base = position - position % self.segment_size
        descriptor = self._open(segment_name(base))
        if descriptor is None:
            return None
        return SegmentScan(descriptor, base, self.segment_size, self.key, self.checksum)

    @property
    def tail(self) -> int:
        """The first position that is kept."""
        bases = self.bases()
        if self.control is not None and (self.control.tail in bases or not bases):
            return self.control.tail
        return bases[0] if bases else 0

    @property
    def head(self) -> int | None:
        """What the control file calls the end; None without one."""
        return None if self.control is None else self.control.head

    @property
    def settled(self) -> int | None:
        """The position before which nobody alive is still writing, as of the last look; None without a control file."""
        if self.control is None:
            return None
        return min([self.control.head, *(one.position for one in self.control.intents if one.alive)])

    def disk_bytes(self) -> int:
        """Return how much of the disk the segments take."""
        blocks = 0
        for base in self.bases():
            with suppress(FileNotFoundError):           # retention let it go meanwhile
                blocks += os.stat(segment_name(base), dir_fd=self._folder).st_blocks
        return blocks * 512

    def read(self, position: int) -> Envelope | None:
        """Return the sound message at `position`; None where none begins."""
        if position % SLOT_ALIGNMENT or position < 0:
            return None
        base = position - position % self.segment_size
        if self._last is None or self._last.base != base:
            self._last = self.segment(base)
        if self._last is None:
            return None
        scan = self._last
        if not scan.fits(position) or self._batch_around(scan, position) is not None or not scan.fits(position):
            return None
        scan.position = position
        found = scan.next()
        return found if found is not None and found.position == position else None

    def find_time(self, time: int) -> int:
        """Return a position that no message of `time` (unix ns) or later stands before, as near as headers tell."""
        for base in reversed(self.bases()):
            scan = self.segment(base)
            first = None if scan is None else scan.next()
            if first is not None and first.timestamp < time:
                return base
        return self.tail

    def findings(self) -> Iterator[Finding]:
        """Yield what is wrong with the journal's files besides its segments."""
        if self.control is None:
            yield Finding("control", None, None, self.control_reason)
        elif self.control.cursors is None:
            yield Finding("control", None, None, "the name of a cursor in the control file is damaged")

    def walk(
        self,
        start: int | None = None,
        take: Take = every_message,
        again: Again | None = None,
        limit: int | None = None,
    ) -> Iterator[Envelope | Finding]:
        """Yield every sound message from `start` on, and what else there is on the way.

        Parameters
        ----------
        start : int, optional
            A position. Where it lies inside of a sound slot the walk begins behind that, and where it lies inside of
            anything else, with that. None: the first that is kept.
        take : callable
            What yields messages while a SegmentScan finds sound slots.
        again : callable, optional
            Called where nothing more is committed yet; whether to look again. None: that is the end.
        limit : int, optional
            Where to end at the latest. None: without `again`, the head.
        """
        if start is None and (finding := self._judge_beginning()) is not None:
            yield finding
        position = self.end = self.tail if start is None else self._first_slot(start)
        if limit is None:
            limit = self._limit() if again is None else NO_LIMIT
        self.limit = limit
        while True:
            base = position - position % self.segment_size
            scan = self.segment(base)
            if scan is None:
                finding = self._judge_hole(position)
                if finding is not None:
                    if finding.resumes == position:             # made meanwhile
                        continue
                    yield finding
                    if finding.resumes is None:
                        return
                    position = finding.resumes
                elif again is None or not again():
                    return
                continue
            if not self._is_own(look_at_header(scan.header()), base):
                yield Finding("header", base, base, "the segment's header is damaged, or that of another journal")
            scan.position = position
            while True:
                for one in take(scan):
                    if one.position >= self.limit:
                        return
                    yield one
                    self.end = scan.position
                self.end = max(self.end, scan.position)
                if self.end >= self.limit:
                    return
                if scan.at_end:
                    break
                finding, is_end = self._judge(scan)
                waits = is_end or (finding is not None and finding.kind == "claim" and finding.reason == IN_FLIGHT)
                if waits and again is not None:
                    if not again():
                        return
                elif is_end:
                    return
                elif finding is not None:
                    yield finding
                    if finding.resumes is None:
                        return
                    scan.position = min(finding.resumes, base + self.segment_size)
            position = base + self.segment_size

    def _judge(self, scan: SegmentScan) -> tuple[Finding | None, bool]:
        """Say what stands where no sound slot does: a Finding, or the end (True), or neither: look again."""
        position, reason = scan.position, scan.reason
        if scan.may_be_free:
            self.refresh()
            if scan.fits(position):                 # committed meanwhile
                return None, False
            if self.control is not None and position < self.control.head:
                finding = self._claim_at(scan)
                if finding is not None:
                    return finding, False
        head = self.head                            # as of the look before `fits`: the next line takes another
        following = self._stamp_behind(scan)
        if scan.may_be_free and (head is None or head <= position):
            if following is None:
                return None, True
            self.refresh()
            if self.control is not None and self.control.head > following:
                return None, False                  # written meanwhile
            reason = "sound messages stand behind it, and it is none"
        return Finding("slot", position, following, reason), False

    def _claim_at(self, scan: SegmentScan) -> Finding | None:
        """Return what a writer has claimed at the scan's position, if one has."""
        assert self.control is not None
        position = scan.position
        claims = [intent for intent in self.control.intents if intent.position == position]
        if not claims:
            return None
        others = {intent.position for intent in self.control.intents}
        sure = [intent for intent in claims if intent.is_batch]
        ends = sorted({position + intent.length for intent in sure or claims})
        for end in ends:                            # the rule of claims.pxd for two of the dead at one position
            if end == self.control.head or end % self.segment_size == 0 or end in others or scan.fits(end):
                break
        else:
            end = ends[0]
        reason = IN_FLIGHT if any(intent.alive for intent in claims) else "its writer died: opening makes it padding"
        return Finding("claim", position, end, reason)

    def _limit(self) -> int:
        """Return the head while somebody alive has the journal open; else the end is where the slots end."""
        control = self.control
        return control.head if control is not None and any(one.alive for one in control.lines) else NO_LIMIT

    def _judge_beginning(self) -> Finding | None:
        """Say if the first segments are gone though nobody let them go: retention moves the tail first."""
        bases = self.bases()
        self.refresh()
        if self.control is None or not bases or self.control.tail >= bases[0]:
            return None
        return Finding("missing", self.control.tail, bases[0], "the segment that holds it is missing")

    def _judge_hole(self, position: int) -> Finding | None:
        """Say why the segment of `position` is not there; None: it is the end.

        A segment is made before the head reaches it, and the tail passes it before it is removed: so the control file
        is looked at before the segment is looked for again, and once more after it was not found.
        """
        self.refresh()
        if self.control is not None and self.control.head <= position:
            return None
        if self.segment(position) is not None:
            return Finding("claim", position, position, IN_FLIGHT)
        later = next((base for base in self.bases() if base > position), None)
        self.refresh()
        if self.control is None and later is None:
            return None
        if self.control is not None and position < self.control.tail:
            return Finding("removed", position, self.control.tail, "retention let it go")
        return Finding("missing", position, later, "the segment that holds it is missing")

    def _stamp_behind(self, scan: SegmentScan) -> int | None:
        """Return the next slot behind the one that cannot be read, in this segment or a later one."""
        found = self._find_slot(scan, scan.position + SLOT_ALIGNMENT)
        for base in self.bases():
            if found is not None:
                break
            later = self.segment(base) if base > scan.position else None
            found = None if later is None else self._find_slot(later, base)
        return found

    def _find_slot(self, scan: SegmentScan, start: int) -> int | None:
        """Return the first position from `start` on with a slot, or of a batch that is being committed from there."""
        found = scan.find_stamp(start)
        while found is not None:
            batch = self._batch_around(scan, found)
            if batch is not None or scan.fits(found):
                return found if batch is None else batch
            found = scan.find_stamp(found)              # its batch was sealed meanwhile
        return None

    def _batch_around(self, scan: SegmentScan, position: int) -> int | None:
        """Return where a batch begins that is not committed, and of which `position` is not the beginning."""
        self.refresh()
        for one in self._batches():
            if one.position < position < one.position + one.length and not scan.fits(one.position):
                return one.position
        return None

    def _batches(self) -> list[Intent]:
        return [] if self.control is None else [one for one in self.control.intents if one.is_batch]

    def _first_slot(self, start: int) -> int:
        """Return where to begin, so that `walk` meets all that is at or behind `start`, and no damage before it.

        Only the slots before it, from the segment's base on, tell whether `start` lies inside of one, sound or not.
        """
        self.refresh()                              # first: what is found below is no older than this head
        aligned = -(-start // SLOT_ALIGNMENT) * SLOT_ALIGNMENT
        scan = self.segment(aligned)
        if scan is None:                            # missing, let go, or still to come
            return aligned if self.head is None else min(aligned, self.head)
        while scan.position < aligned and not scan.walk(aligned):
            self.refresh()
            ends = [one.position + one.length for one in self._batches() if one.position == scan.position]
            sound = self._find_slot(scan, max(ends, default=scan.position + SLOT_ALIGNMENT))
            if sound is None or sound > aligned:
                break
            scan.position = sound
        return scan.position

    def _is_own(self, header: HeaderLook | None, base: int) -> bool:
        return header is not None and (header.key, header.segment_size, header.base) == (
            self.key, self.segment_size, base,
        )

    def _identity(self) -> tuple[int, int]:
        if self.control is not None:
            return self.control.key, self.control.segment_size
        for base in self.bases():
            header = self.header(base)
            if header is not None and header.base == base:
                return header.key, header.segment_size
        raise BusFormatError(f"{self.path!r} is no journal: {self.control_reason}, and no segment has a sound header")

    def _traits(self) -> tuple[bool, bool]:
        """Say whether messages have timestamps and checksums: without a control file, as the first one that is left."""
        if self.control is not None:
            return self.control.timestamps, self.control.checksum
        for base in self.bases():
            scan = self.segment(base)
            found = None if scan is None else scan.traits()
            if found is not None:
                return found
        return True, True

    def _open(self, name: str) -> int | None:
        """Open a regular file of the folder, no symbolic link, without waiting for the other end of a pipe."""
        try:
            descriptor = os.open(
                name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=self._folder
            )
        except OSError as error:
            if error.errno in (errno.ENOENT, errno.ELOOP):
                return None
            raise
        if not stat.S_ISREG(os.fstat(descriptor).st_mode):
            os.close(descriptor)
            return None
        return descriptor


def segment_name(base: int) -> str:
    """Return the name of the file of the segment that begins at `base`."""
    return f"{base:016x}.segment"
