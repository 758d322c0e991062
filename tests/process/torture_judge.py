"""Who is never killed: reads everything, and compares what the others have noted with it.

    lost        a message that somebody alive at the time did not see, or one that was acknowledged and is not there;
                a gap that a reader was told of for whom writers wait
    duplicate   a number of a writer that comes again, or too late; a message that a handed-on place shows twice
    torn        a message whose bytes are not those that were written

A writer that was killed may have sent one message that nobody acknowledged: that one may be there or not.
"""

from __future__ import annotations

import bisect
import json
import os
import socket
from pathlib import Path
from typing import Any

from torture_actors import CAPACITY, CURSOR, LINES
from torture_notes import WRITERS, Notes, Slice, author_of, mark_of

from nanobus import CircularBus, JournalBus, Retention
from nanobus.bus.handover import Place

REMEMBERED = 300_000  # messages: more than any reader is behind
MESSAGES_BETWEEN_WORDS = 32


class Judge:
    def __init__(self, path: Path, notes: Notes, words: socket.socket) -> None:
        self.notes = notes
        self.words = words
        self.words.setblocking(False)
        self.unread = b""
        self.is_journal = path.suffix != ".ring"
        self.path = path
        self.bus = self.open()
        self.reader = self.bus.reader("oldest")
        self.place: Place | None = None
        self.positions: list[int] = []  # of messages, and the sum of the marks of all up to there
        self.totals: list[int] = []
        self.forgotten_total = 0
        self.newest = [0] * WRITERS  # number of the last message of each
        self.doubtful = 0
        self.slices: list[tuple[str, int, Slice]] = []  # not judged yet
        self.handed_on: dict[int, int] = {}  # reader -> where its next life has to begin
        self.judged = 0
        self.violations: list[str] = []
        self.is_over = False
        self.doubts: list[set[int]] = [set() for _ in range(WRITERS)]

    def open(self) -> CircularBus | JournalBus:
        if self.is_journal:
            return JournalBus(
                self.path, segment_size=CAPACITY, sync_interval=0.02, retention=Retention(count=4), **LINES
            )
        return CircularBus(CAPACITY, self.path, **LINES)

    def run(self) -> dict[str, Any]:
        """Judge until the parent says it is over; return the figures."""
        self.notes.judge_process = os.getpid()
        self.hold_place(1)
        if self.is_journal:
            self.bus.reader(CURSOR).close()
        while not (self.is_over and self.reader.position == self.bus.head):
            self.look()
        self.look()
        for kind, reader, one in self.slices:
            self.violations.append(f"{kind} reader {reader} has seen what nobody else has: {one}")
        return self.final_figures()

    def look(self) -> None:
        for _ in range(MESSAGES_BETWEEN_WORDS):
            found = self.reader.read(0.001)
            if found is None:
                break
            self.take(found.position, found.source, found.message_id, found.payload)
            self.notes.seen += 1
        self.notes.seen_to = self.reader.position
        self.hear()
        self.judge_slices()

    # ---- messages

    def take(self, position: int, source: int, message_id: int, payload: bytes) -> None:
        self.positions.append(position)
        self.totals.append((self.totals[-1] if self.totals else self.forgotten_total) + mark_of(position))
        if len(self.positions) > REMEMBERED:
            half = REMEMBERED // 2
            self.forgotten_total = self.totals[half - 1]
            del self.positions[:half], self.totals[:half]
        try:
            writer, number = author_of(message_id, payload)
        except ValueError as error:
            self.violations.append(f"torn: {error}, at {position}")
            return
        if writer != source:
            self.violations.append(f"torn: a message of {writer} with the header of {source}, at {position}")
        elif number != self.newest[writer] + 1:
            self.judge_jump(writer, number, position)
        self.newest[writer] = max(number, self.newest[writer])

    def judge_jump(self, writer: int, number: int, position: int) -> None:
        if number <= self.newest[writer] or number >> 63:
            self.violations.append(f"duplicate: {number} of writer {writer} after {self.newest[writer]}, at {position}")
            return
        self.hear()  # of deaths: the parent told us of them before it let the successor begin
        missing = [one for one in range(self.newest[writer] + 1, number) if one not in self.doubts[writer]]
        if missing:
            self.violations.append(f"lost: {missing[:5]} of writer {writer}, {len(missing)} in all, before {position}")

    # ---- what the parent says

    def hear(self) -> None:
        try:
            while chunk := self.words.recv(1 << 16):
                self.unread += chunk
        except BlockingIOError:
            pass
        *lines, self.unread = self.unread.split(b"\n")
        for line in lines:
            word = json.loads(line)
            match word.pop("kind"):
                case "writer":
                    self.note_death(**word)
                case "reader":
                    self.note_end(**word)
                case "over":
                    self.is_over = True

    def note_death(self, writer: int, tried: int, acknowledged: int) -> None:
        if tried != acknowledged:
            self.doubtful += 1
            self.doubts[writer].add(tried)

    def note_end(self, reader: int, mode: str, life: int, seen: list[int] | None, gap: list[int] | None) -> None:
        if seen is not None:
            self.slices.append((mode, reader, Slice(*seen)))
        if gap is not None:
            self.judge_gap(reader, mode, life, *gap)
        if mode == "placed" and self.place is not None:
            if self.place.reclaim() is None:
                self.place = None
                if not self.notes.readers_stop:
                    self.violations.append(f"lost: the place of reader {reader} is gone after life {life}")
            else:
                self.notes.place_life = life + 1

    def judge_gap(self, reader: int, mode: str, life: int, first_lost: int, gated_from: int) -> None:
        """On a ring, writers use up what they were allowed before they look again, and see a new reader."""
        is_new = mode in ("newest", "oldest", "resumed") and not self.is_journal
        if mode not in ("observing", "lagging") and not (is_new and first_lost < gated_from):
            self.violations.append(
                f"lost: the {mode} reader {reader} was told of a gap at {first_lost} in life {life}, "
                f"and from {gated_from} on every writer knew of it"
            )

    def hold_place(self, life: int) -> None:
        self.place = self.bus.hold()
        self.notes.place_index, self.notes.place_turn, self.notes.place_lender = self.place.ticket
        self.notes.place_life = life

    # ---- slices

    def judge_slices(self) -> None:
        """Judge what is behind the judge, in the order the lives ended."""
        while self.slices and self.slices[0][2].next <= self.reader.position:
            kind, reader, one = self.slices.pop(0)
            self.judged += 1
            if kind in ("placed", "named"):
                self.judge_handover(kind, reader, one)
            if one.count and (one.count, one.total) != self.counted(one.start, one.last):
                self.violations.append(
                    f"lost or duplicate: {kind} reader {reader} has seen {one}, there were "
                    f"{self.counted(one.start, one.last)[0]}, remembered from {self.positions[0]}"
                )

    def counted(self, start: int, last: int) -> tuple[int, int]:
        """Return how many messages there are from `start` to `last`, both included, and the sum of their marks."""
        low, high = bisect.bisect_left(self.positions, start), bisect.bisect_right(self.positions, last)
        before = self.totals[low - 1] if low else self.forgotten_total
        after = self.totals[high - 1] if high else self.forgotten_total
        return high - low, after - before & 0xFFFF_FFFF_FFFF_FFFF

    def judge_handover(self, kind: str, reader: int, one: Slice) -> None:
        """The next life begins behind what the last one noted, or behind one more that it had no time to note."""
        expected = self.handed_on.get(reader, one.start)
        self.handed_on[reader] = one.next
        passed = bisect.bisect_left(self.positions, one.start) - bisect.bisect_left(self.positions, expected)
        if passed not in (0, 1):
            self.violations.append(
                f"lost or duplicate: a life of the {kind} reader {reader} begins at {one.start}, {passed} messages "
                f"behind {expected}, where the last one had come to"
            )

    # ---- the end

    def final_figures(self) -> dict[str, Any]:
        for writer in range(WRITERS):
            acknowledged = self.notes.acknowledged(writer)
            if self.newest[writer] < acknowledged:
                self.violations.append(f"lost: writer {writer} was told of {acknowledged}, seen {self.newest[writer]}")
        if self.place is not None:
            self.place.let_go()
        self.bus.reap()
        found = self.bus.statistics()
        if len(found.writers) != 1 or len(found.readers) != 1:
            self.violations.append(f"left behind: {found.writers} {found.readers}")
        if found.gate != found.head:
            self.violations.append(f"left behind: the gate is at {found.gate}, the head at {found.head}")
        self.bus.close()
        if self.is_journal:
            self.read_again()
        return {
            "messages": self.notes.seen, "doubtful": self.doubtful, "slices": self.judged,
            "sealed": found.sealed, "dead_writers": found.dead_writers, "dead_readers": found.dead_readers,
            "violations": self.violations,
        }

    def read_again(self) -> None:
        """Open the journal as its only user, who recovers it, and find the same messages."""
        with JournalBus(self.path) as bus:
            reader = bus.reader("oldest", gate=False)
            start = reader.position
            last = count = total = 0
            while (found := reader.read(0)) is not None:
                author_of(found.message_id, found.payload)
                last, count, total = found.position, count + 1, total + mark_of(found.position)
            if (count, total & 0xFFFF_FFFF_FFFF_FFFF) != self.counted(start, last):
                self.violations.append(f"lost or duplicate: {count} messages after recovery from {start} to {last}")
