"""Those who are killed: writers and readers, each a life of some milliseconds."""

from __future__ import annotations

import random
import time
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path
from typing import TypeVar

from torture_notes import NEVER, PLACED, Notes, Point, mark_of, plain_payload, point_check

from nanobus import CircularBus, Gap, JournalBus, TooManyHandlesError
from nanobus.bus.base import BusReader, BusWriter
from nanobus.bus.sender import Sender

CAPACITY = 1 << 16  # of the ring, and of a segment of the journal
LINES = {"writers": 24, "readers": 16}
MOST_AHEAD = 1 << 20  # of the journal's writers: what retention may not take yet has to fit the memory
REST_SECONDS = 0.001
CURSOR = "here"

Handle = TypeVar("Handle")


def open_bus(path: Path, dice: random.Random) -> CircularBus | JournalBus:
    """Open the bus of the judge, who has made it."""
    if path.suffix == ".ring":
        return CircularBus(path=path)
    return JournalBus(path, sync=dice.choice(["none", "none", "interval", "commit"]), sync_interval=0.01)


def insist(wanted: Callable[[], Handle]) -> Handle:
    """Ask for a line again while they are all taken: some of the dead are not settled yet."""
    while True:
        try:
            return wanted()
        except TooManyHandlesError:
            time.sleep(REST_SECONDS)


class AbortedError(Exception):
    pass


class WriterLife:
    def __init__(self, path: Path, notes: Notes, writer: int, dice: random.Random) -> None:
        self.notes = notes
        self.writer = writer
        self.dice = dice
        self.is_journal = path.suffix != ".ring"
        self.number = notes.tried(writer)
        self.bus = insist(lambda: open_bus(path, dice))

    def run(self) -> None:
        """Write in every way there is, until it is enough."""
        ways = [self.write, self.write, self.write_large, self.write_otherwise, self.claim, self.abort, self.rest]
        with self.bus:
            while not self.notes.writers_stop:
                way = self.dice.choice(ways)
                for _ in range(self.dice.randrange(1, 40) if way in (self.write, self.claim) else 1):
                    way()
                self.wait_for_the_slow()

    def put(self, write: Callable[[int], object]) -> None:
        number = self.number = self.number + 1
        self.notes.try_number(self.writer, number)
        write(number)
        self.notes.acknowledge(self.writer, number)

    def payload(self, number: int, size: int) -> bytes:
        return plain_payload(self.writer, number, size)

    def write(self) -> None:
        size = self.dice.randrange(300)
        self.put(lambda number: self.bus.write(self.writer, 1, self.payload(number, size)))

    def write_large(self) -> None:
        size = self.dice.randrange(CAPACITY // 4)
        self.put(lambda number: self.bus.write(self.writer, 1, self.payload(number, size)))

    def write_otherwise(self) -> None:
        """With a writer of its own, which is taken and let go."""
        own: BusWriter = insist(self.bus.writer)
        with own:
            for size in range(self.dice.randrange(4)):
                self.put(lambda number, size=size: own.write(self.writer, 1, self.payload(number, size)))

    def claim(self) -> None:
        sender: Sender = insist(lambda: self.bus.sender(self.writer))
        with sender:
            self.put(lambda number: self.fill(sender, number))

    def abort(self) -> None:
        sender: Sender = insist(lambda: self.bus.sender(self.writer))
        with sender:
            with suppress(AbortedError):
                self.fill(sender, NEVER + self.number, AbortedError())

    def fill(self, sender: Sender, number: int, failure: Exception | None = None) -> None:
        with sender.claim(Point) as point:
            point.writer = self.writer
            point.number = number
            point.check = point_check(self.writer, number)
            if self.dice.random() < 0.1:
                time.sleep(REST_SECONDS)  # everybody waits for this claim
            if failure is not None:
                raise failure

    def rest(self) -> None:
        """Let the readers park."""
        if self.dice.random() < 0.3:
            time.sleep(REST_SECONDS)

    def wait_for_the_slow(self) -> None:
        while self.is_journal and not self.notes.writers_stop:
            if self.bus.head - min(self.notes.seen_to, self.notes.kept_to) < MOST_AHEAD:
                return
            time.sleep(REST_SECONDS)


class ReaderLife:
    def __init__(
        self, path: Path, notes: Notes, reader: int, life: int, mode: str, resumes_at: int, dice: random.Random
    ) -> None:
        self.notes = notes
        self.reader = reader
        self.mode = mode
        self.bus = insist(lambda: open_bus(path, dice))
        self.source: BusReader = insist(lambda: self.register(life, resumes_at))
        self.gated_from = self.judges_position()

    def judges_position(self) -> int:
        """How far writers may have been allowed to write, less a lap, before they knew of this reader."""
        readers = self.bus.statistics().readers
        return max((one.position for one in readers if one.process == self.notes.judge_process), default=0)

    def register(self, life: int, position: int) -> BusReader:
        match self.mode:
            case "placed":
                while self.notes.place_life != life:
                    time.sleep(REST_SECONDS / 10)
                return self.bus.adopt((self.notes.place_index, self.notes.place_turn, self.notes.place_lender))
            case "named":
                return self.bus.reader(CURSOR)
            case "resumed":
                try:
                    return self.bus.reader(position)
                except ValueError:  # overwritten since
                    return self.bus.reader("newest")
            case "lagging":
                return self.bus.reader("newest", lag_limit=CAPACITY // 8)
            case "observing":
                return self.bus.reader("newest", gate=False)
        return self.bus.reader(self.mode)

    def run(self) -> None:
        """Read and note what was seen, until a gap, or until there will be nothing more."""
        start = next_ = self.source.position
        last = count = total = 0
        with self.bus:
            while True:
                self.notes.note_slice(self.reader, start, next_, last, count, total)
                if self.mode == "named":
                    self.notes.kept_to = next_
                found = self.source.read(0.02)
                if found is None:
                    if self.notes.readers_stop and self.source.position == self.bus.head:
                        self.source.close()
                        return
                    continue
                if isinstance(found, Gap):
                    self.notes.note_gap(self.reader, found.first_lost, self.gated_from)
                    return
                last, next_ = found.position, self.source.position
                count += 1
                total = total + mark_of(last) & 0xFFFF_FFFF_FFFF_FFFF


def mode_of(reader: int, path: Path, dice: random.Random) -> str:
    """How a life of this reader comes to its position."""
    if reader == PLACED:
        return "placed"
    if path.suffix == ".ring":
        return dice.choice(["newest", "oldest", "resumed", "lagging", "observing"])
    return "named" if reader == PLACED + 1 else dice.choice(["newest", "oldest", "resumed", "observing"])
