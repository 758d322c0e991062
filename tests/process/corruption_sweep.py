"""Damage one byte, or one length, of a small journal after the other, and see what it makes of it; prints the figures.

    python corruption_sweep.py FOLDER flip|cut|flip_killed STRIDE

flip_killed: of the control file of a journal whose process was killed with a claim, a reader and a cursor in its hands.
A crash or a hang ends this process with a signal; FOLDER/case says at which damage. STRIDE: of the bytes and lengths
where all is zero every how manieth is damaged; elsewhere each is.
"""

import ast
import contextlib
import json
import os
import shutil
import signal
import sys
from pathlib import Path

from nanobus import CorruptJournalError, CorruptMessageError, JournalBus, NanobusError

HANG_SECONDS = 10
FILES = ["control", "0000000000000000.segment", "0000000000001000.segment"]
SIZES = [0, 1, 300, 31, 32, 33, 900, 64, 700, 1500, 17, 800, 5, 1200]


class AbortError(Exception):
    pass


def make_journal(path: Path, killed: bool) -> list:
    """Two segments, an aborted claim, a named cursor; closed in order, or not. Returns what was written."""
    reading, writing = os.pipe()
    child = os.fork()
    if child == 0:
        with open(writing, "w") as pipe:
            write_journal(path, lambda written: print(repr(written), file=pipe, flush=True), killed)
        os._exit(0)
    os.close(writing)
    with open(reading) as pipe:
        written = ast.literal_eval(pipe.read())
    assert os.waitpid(child, 0)[1] == (signal.SIGKILL if killed else 0)
    return written


def write_journal(path: Path, tell, killed: bool) -> None:
    from nanobus import Record, message, u64

    @message(id=9)
    class Point(Record):
        number: u64

    with JournalBus(path, segment_size=4096, writers=2, readers=2) as bus:
        for number, size in enumerate(SIZES):
            bus.write(number, 0, bytes((number + at) & 0xFF for at in range(size)))
            if number == 3:
                with bus.sender(1) as sender:
                    try:
                        with sender.claim(Point):
                            raise AbortError
                    except AbortError:
                        pass
        with bus.reader("here") as reader:
            for _ in range(4):
                reader.read(0)
        bus.sync()
        observer = bus.reader(gate=False)
        written = [observer.read(0) for _ in SIZES]
        assert observer.read(0) is None
        assert 4096 < bus.head < 8192
        tell([(found.position, found.source, found.message_id, found.timestamp, found.payload) for found in written])
        if killed:
            observer.close()
            held = [bus.reader("here"), bus.sender(1).claim(Point)]
            held[1].__enter__()
            os.kill(os.getpid(), signal.SIGKILL)


def read_all(bus) -> list:
    """Messages, None for each that is corrupt, and the error that ended it if one did."""
    found = []
    reader = bus.reader(gate=False)
    for _ in range(200):
        try:
            message = reader.read(0)
        except CorruptMessageError:
            found.append(None)
            continue
        except CorruptJournalError as error:
            found.append(error)
            return found
        if message is None:
            return found
        found.append((message.position, message.source, message.message_id, message.timestamp, message.payload))
    raise AssertionError("the reader never comes to an end")


class Sweep:
    def __init__(self, folder: Path, killed: bool) -> None:
        self.path = folder / "journal"
        self.written = make_journal(self.path, killed)
        self.sound = {name: (self.path / name).read_bytes() for name in FILES}
        self.figures = {"damages": 0, "refused": 0, "whole": 0, "prefix": 0, "skipped_one": 0}
        self.case = folder / "case"

    def check(self, name: str, damaged: bytes, case: str) -> None:
        for other in FILES:
            (self.path / other).write_bytes(damaged if other == name else self.sound[other])
        for left in set(os.listdir(self.path)) - {*FILES, "lock"}:
            (self.path / left).unlink()
        self.case.write_text(case)
        self.figures["damages"] += 1
        signal.alarm(HANG_SECONDS)
        try:
            bus = JournalBus(self.path, segment_size=4096)
        except NanobusError:
            self.figures["refused"] += 1
            return
        with bus:
            self.check_messages(read_all(bus), case)
            for message in self.written:
                try:
                    found = bus.read(message[0])
                except NanobusError:
                    continue
                assert found is None or found.payload == message[4], case
            with contextlib.suppress(NanobusError):
                bus.reader("here").read(0)
            try:
                position = bus.write(7, 7, b"written after the damage")
            except NanobusError:
                pass
            else:
                assert bus.read(position).payload == b"written after the damage", case
        signal.alarm(0)

    def check_messages(self, found: list, case: str) -> None:
        end = found.pop() if found and isinstance(found[-1], CorruptJournalError) else None
        expected = iter(self.written)
        skipped = 0
        told = False
        for message in found:
            if message is None:
                told = True
                continue
            while (wanted := next(expected, None)) != message:
                assert wanted is not None, f"{case}: {message} was never written there"
                assert told, f"{case}: {wanted} is missing, and nobody was told"
                skipped += 1
            told = False
        left = list(expected)
        assert not left or end is not None or told, f"{case}: {len(left)} messages are missing, and nobody was told"
        assert skipped + (told and bool(left)) <= 1 or end is not None, f"{case}: {skipped} are missing"
        if end is not None:
            assert not left or end.position is None or end.position <= left[0][0], f"{case}: {end}"
        self.figures["whole" if not (left or skipped) else "prefix" if left else "skipped_one"] += 1

    def places(self, name: str, stride: int) -> list[int]:
        """Every byte of what was written, and of what is zero one in `stride`."""
        content = self.sound[name]
        written = [content[at : at + 32].strip(b"\0") != b"" for at in range(0, len(content), 32)]
        return [at for at in range(len(content)) if at % stride == 0 or written[at // 32]]

    def flip_killed(self, stride: int) -> None:
        self.flip(stride, FILES[:1])

    def flip(self, stride: int, names: list[str] = FILES) -> None:
        for name in names:
            for at in self.places(name, stride):
                damaged = bytearray(self.sound[name])
                damaged[at] ^= (0xFF, 0x01, 0x10, 0x80)[(at + at // 4) % 4]
                self.check(name, bytes(damaged), f"{name}: byte {at} flipped")

    def cut(self, stride: int) -> None:
        for name in FILES:
            for length in self.places(name, stride):
                self.check(name, self.sound[name][:length], f"{name}: cut to {length} bytes")


def main() -> None:
    folder = Path(sys.argv[1])
    shutil.rmtree(folder / "journal", ignore_errors=True)
    sweep = Sweep(folder, sys.argv[2] == "flip_killed")
    getattr(sweep, sys.argv[2])(int(sys.argv[3]))
    print(json.dumps(sweep.figures))


main()
