"""What the tortured say of themselves: in memory that survives them, one store a word, so that no kill tears it."""

from __future__ import annotations

import mmap
import struct
import zlib
from dataclasses import dataclass

from nanobus import Record, message, u32, u64

WRITERS, READERS = 3, 3
POINT, PLAIN = 9, 1  # message ids
NEVER = 1 << 63  # added to the number of a message that is aborted
PLACED = 0  # the reader whose lives hand a place on

_WRITER_WORDS, _READER_WORDS, _SLICE_WORDS = 2, 16, 5
_GAP = 1 + 2 * _SLICE_WORDS
_FIRST_READER = 16 + WRITERS * _WRITER_WORDS
_PLAIN_HEAD = struct.Struct("<IQ")
_FILLER = bytes(at * 7 & 0xFF for at in range(1 << 16))


@message(id=POINT)
class Point(Record):
    writer: u32
    check: u32
    number: u64


def plain_payload(writer: int, number: int, size: int) -> bytes:
    """Return `size` bytes or a few more, the last four a checksum of the others."""
    body = _PLAIN_HEAD.pack(writer, number) + _FILLER[number & 0xFF : (number & 0xFF) + size]
    return body + zlib.crc32(body).to_bytes(4, "little")


def point_check(writer: int, number: int) -> int:
    return zlib.crc32(b"%d %d" % (writer, number))


def author_of(message_id: int, payload: bytes) -> tuple[int, int]:
    """Return (writer, number) of a message that is whole.

    Raises
    ------
    ValueError
        It is torn.
    """
    if message_id == POINT:
        writer, check, number = struct.unpack("<IIQ", payload)
        whole = check == point_check(writer, number)
    else:
        writer, number = _PLAIN_HEAD.unpack_from(payload)
        whole = zlib.crc32(payload[:-4]) == int.from_bytes(payload[-4:], "little")
    if not whole:
        raise ValueError(f"a torn message {message_id} of {len(payload)} bytes, said to be {number} of {writer}")
    return writer, number


def mark_of(position: int) -> int:
    """What a message adds to the sum of a slice: of two slices with one sum and one length, none lacks a message."""
    return (position * 0x9E3779B97F4A7C15 ^ position << 21) & 0xFFFF_FFFF_FFFF


@dataclass(frozen=True)
class Slice:
    """What a reader has seen in this life: every message from `start` to `last`. It would have seen `next` then."""

    start: int
    next: int
    last: int
    count: int
    total: int


def _word(index: int) -> property:
    def read(notes: Notes) -> int:
        return notes._words[index]

    def write(notes: Notes, value: int) -> None:
        notes._words[index] = value

    return property(read, write)


class Notes:
    """Words of 8 bytes that every process has: the parent makes them, its children inherit them."""

    def __init__(self) -> None:
        self._words = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")

    seen = _word(0)  # messages the judge has read: the progress of the bus
    seen_to = _word(1)  # the position it has come to
    kept_to = _word(2)  # the position the named cursor has come to
    place_index = _word(3)
    place_turn = _word(4)
    place_lender = _word(5)
    place_life = _word(6)  # of the placed reader: the place is there for this one
    writers_stop = _word(7)
    readers_stop = _word(8)
    judge_process = _word(9)

    # ---- writers

    def tried(self, writer: int) -> int:
        return self._words[16 + writer * _WRITER_WORDS]

    def acknowledged(self, writer: int) -> int:
        return self._words[17 + writer * _WRITER_WORDS]

    def try_number(self, writer: int, number: int) -> None:
        self._words[16 + writer * _WRITER_WORDS] = number

    def acknowledge(self, writer: int, number: int) -> None:
        self._words[17 + writer * _WRITER_WORDS] = number

    # ---- readers: two slices by turns, how often one was noted, and a gap

    def turns(self, reader: int) -> int:
        return self._words[_FIRST_READER + reader * _READER_WORDS]

    def forget_life(self, reader: int) -> None:
        row = _FIRST_READER + reader * _READER_WORDS
        self._words[row] = self._words[row + _GAP] = 0

    def note_slice(self, reader: int, start: int, next_: int, last: int, count: int, total: int) -> None:
        words, row = self._words, _FIRST_READER + reader * _READER_WORDS
        turn = words[row] + 1
        at = row + 1 + (turn & 1) * _SLICE_WORDS
        words[at], words[at + 1], words[at + 2], words[at + 3], words[at + 4] = start, next_, last, count, total
        words[row] = turn

    def slice_of(self, reader: int) -> Slice | None:
        """What a reader that is dead by now noted last; None: it had not begun to read."""
        row = _FIRST_READER + reader * _READER_WORDS
        turn = self._words[row]
        at = row + 1 + (turn & 1) * _SLICE_WORDS
        return Slice(*self._words[at : at + _SLICE_WORDS]) if turn else None

    def note_gap(self, reader: int, first_lost: int, gated_from: int) -> None:
        at = _FIRST_READER + reader * _READER_WORDS + _GAP
        self._words[at + 1], self._words[at + 2] = first_lost, gated_from
        self._words[at] = 1

    def gap_of(self, reader: int) -> tuple[int, int] | None:
        """The first position it was told was lost, and from where no writer could but wait; None: it saw no gap."""
        at = _FIRST_READER + reader * _READER_WORDS + _GAP
        return (self._words[at + 1], self._words[at + 2]) if self._words[at] else None
