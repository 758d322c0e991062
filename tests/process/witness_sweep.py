"""Kill a process at every step it takes with a bus, before the eyes of a witness who has it open; prints the figures.

    python witness_sweep.py FOLDER ring|journal WORK

Needs a build with -Dsteps=true (core/steps.pxd). The parent only forks. The witness opens the bus first, and does what
WORK needs of another process: parks as a reader, holds a place, leaves a claim of the dead. After the kill it has to
find every message that was written, once and whole; then it frees what the dead left, and goes round the ring.
What a process leaves that was alone with its journal is the matter of kill_sweep.py.
"""

from __future__ import annotations

import json
import mmap
import os
import select
import shutil
import signal
import struct
import sys
import time
import traceback
from collections.abc import Callable
from pathlib import Path

from nanobus import BusFullError, CircularBus, Gap, Handler, JournalBus, Messenger, Record, Worker, message, on, u64
from nanobus.bus.circular import inherit_ring

CAPACITY = 1 << 14
LINES = {"writers": 5, "readers": 4}
TRIED, RETURNED, ABORTED = 1, 2, 3
HANG_SECONDS = 30
ROOM = 4096
MOMENT = 0.002  # seconds: long enough to park


@message(id=9)
class Point(Record):
    number: u64


@message(id=10)
class Burst(Record):
    number: u64


class Source(Handler, id=1):
    """Sends more than the ring takes, so that the rest goes by the outbox."""

    @on(Burst)
    def burst(self, burst: Burst) -> None:
        for number in range(burst.number, burst.number + 600):
            self.send(Point(number=number))


AnyBus = CircularBus | JournalBus


class AbortError(Exception):
    pass


def payload_of(number: int) -> bytes:
    return struct.pack("<Q", number) + bytes(number * 7 + at & 0xFF for at in range(number * 37 % 200))


def fork(work: Callable[[], object]) -> int:
    child = os.fork()
    if child == 0:
        signal.alarm(HANG_SECONDS)
        try:
            work()
        except BaseException:
            traceback.print_exc()
            os._exit(1)
        os._exit(0)
    return child


class Sweep:
    def __init__(self, folder: Path, kind: str) -> None:
        self.kind = kind
        self.folder = folder / kind
        self.folder.mkdir()
        self.path = self.folder / "a"
        self.steps_file = folder / "steps"
        self.steps_file.write_bytes(bytes(16))
        with self.steps_file.open("r+b") as file:
            self.steps = mmap.mmap(file.fileno(), 16)
        self.notes = mmap.mmap(-1, ROOM)  # what became of each message
        self.words = memoryview(mmap.mmap(-1, mmap.PAGESIZE)).cast("Q")  # between witness, victim and parent
        self.figures = {"kills": 0, "sealed": 0, "dead_writers": 0, "dead_readers": 0}

    # words: 0 the witness is ready | 1 the victim is over | 2.. a ticket | 5.. figures of the witness
    #        8 messages that are certainly sent

    @property
    def is_over(self) -> bool:
        return bool(self.words[1])

    # ---- what the killed process does

    def open(self) -> AnyBus:
        return JournalBus(self.path, sync_interval=1000) if self.kind == "journal" else CircularBus(path=self.path)

    def open_first(self, work: str) -> AnyBus:
        if self.kind == "journal":
            return JournalBus(self.path, segment_size=4096, sync_interval=1000, **LINES)
        checked = work == "write_checked"
        return CircularBus(CAPACITY, self.path, timestamps=checked, checksum=checked, **LINES)

    def put(self, bus: AnyBus, number: int, timeout: float | None = None) -> None:
        self.notes[number] = TRIED
        bus.write(1, 1, payload_of(number), timeout=timeout)
        self.notes[number] = RETURNED

    def put_in_place(self, bus: AnyBus, number: int, fails: bool) -> None:
        self.notes[number] = ABORTED if fails else TRIED
        with bus.sender(1) as sender:
            try:
                with sender.claim(Point) as point:
                    point.number = number
                    if fails:
                        raise AbortError
            except AbortError:
                return
        self.notes[number] = RETURNED

    def make(self) -> None:
        """Make the ring, name it, write."""
        with self.open_first("make") as bus:
            self.put(bus, 0)

    def attach(self) -> None:
        """Attach by path."""
        with self.open() as bus:
            self.put(bus, 0)

    def inherit(self) -> None:
        """Attach by descriptor, as a child does."""
        with inherit_ring(os.open(self.path, os.O_RDWR), str(self.path)) as bus:
            self.put(bus, 0)

    def write(self) -> None:
        """Claim, commit and abort; the witness is parked, and woken."""
        with self.open() as bus:
            for number in range(3):
                self.put(bus, number)
                time.sleep(MOMENT)
            self.put_in_place(bus, 3, fails=True)
            self.put_in_place(bus, 4, fails=False)
            self.put(bus, 5)

    write_checked = write

    def lap(self) -> None:
        """Go round the ring, looking for the gate, and reaping a dead reader and a dead writer; waits for room."""
        with self.open() as bus:
            for number in range(10, 140):
                self.put(bus, number)

    def register(self) -> None:
        """Register, read and detach readers of every kind; the last one is dropped."""
        with self.open() as bus:
            for options in ({}, {"gate": False}, {"lag_limit": 1024}):
                reader = bus.reader("oldest", **options)
                assert reader.read(0) is not None
                reader.close()
            del reader
            reader = bus.reader("newest")
            del reader

    def park(self) -> None:
        """Park as a reader and as a writer, in vain."""
        with self.open() as bus:
            with bus.reader("newest") as reader:
                assert reader.read(MOMENT) is None
            try:
                for number in range(10, 1000 if self.kind == "ring" else 20):
                    self.put(bus, number, MOMENT)
            except BusFullError:
                self.notes[number] = 0

    def wake_writers(self) -> None:
        """Read what the witness waits to write behind."""
        with self.open() as bus:
            reader = bus.adopt(tuple(self.words[2:5]))
            while not self.is_over and reader.read(MOMENT) is not None:
                pass
            reader.close()

    def seal(self) -> None:
        """Come upon the claim of a dead writer."""
        with self.open() as bus:
            reader = bus.reader("oldest")
            while reader.position != bus.head:
                reader.read(MOMENT)

    def reap(self) -> None:
        """Free what the dead left, a claim among it."""
        with self.open() as bus:
            bus.reap()

    def adopt(self) -> None:
        """Adopt the place that the witness holds, read, hand it back."""
        with self.open() as bus:
            reader = bus.adopt(tuple(self.words[2:5]))
            for number in range(3):
                found = reader.read(0)
                assert found is not None
                assert found.payload == payload_of(number)
            reader.close()

    def hold(self) -> None:
        """Hold places for children: one is never adopted, one is taken back, one is let go under a living child."""
        children = [self.fork_child() for _ in range(2)]        # before the first step
        with self.open() as bus:
            place = bus.hold()
            place.reclaim()
            place.let_go()
            for child, told, ready in children:
                place = bus.hold()
                os.write(told, json.dumps(place.ticket).encode())
                os.read(ready, 1)
                if child == children[1][0]:
                    place.let_go()
                os.kill(child, signal.SIGKILL)
                os.waitpid(child, 0)
                place.reclaim()
                place.let_go()

    def fork_child(self) -> tuple[int, int, int]:
        parent = os.getpid()
        (told, told_end), (ready_end, ready) = os.pipe(), os.pipe()

        def read_until_orphaned() -> None:
            os.environ.pop("NANOBUS_STEPS")
            while not select.select([told], [], [], 0.005)[0]:
                if os.getppid() != parent:
                    return
            with self.open() as bus:
                reader = bus.adopt(json.loads(os.read(told, 100)))
                os.write(ready, b"!")
                while os.getppid() == parent:
                    reader.read(0.005)

        return fork(read_until_orphaned), told_end, ready_end

    def flush(self) -> None:
        """Handle a message by sending more than there is room for, and flush the outbox."""
        bus = self.open()
        messenger = Messenger(bus, workers=[Worker("source", [Source], routes={(2, Burst): [Source]})])
        with messenger.run():
            with bus.sender(2) as sender:
                sender.send(Burst(number=1000))
        bus.close()
        self.words[8] = 600

    # ---- what the witness does before, and meanwhile

    def leave_dead_claim(self) -> None:
        """A process that dies with a reader and a claim open."""

        def die() -> None:
            bus = self.open()
            readers = [bus.reader("oldest")]
            claim = bus.sender(1).claim(Point)
            claim.__enter__()
            self.words[6] = len(readers)
            os.kill(os.getpid(), signal.SIGKILL)

        os.waitpid(fork(die), 0)

    def prepare(self, work: str, bus: AnyBus) -> None:
        if work in ("register", "adopt", "seal", "reap", "lap"):
            if work == "adopt":
                self.place = bus.hold()
                self.words[2], self.words[3], self.words[4] = self.place.ticket
            for number in range(3):
                self.put(bus, number)
        if work in ("seal", "reap", "lap"):
            self.leave_dead_claim()
            self.put(bus, 3)
        if work == "wake_writers":
            self.place = bus.hold()
            self.words[2], self.words[3], self.words[4] = self.place.ticket

    def attend(self, work: str, bus: AnyBus) -> None:
        """Until the victim is dead; the witness's own reader reads nothing where the victim is to be the first."""
        while not self.is_over:
            if work in ("seal", "reap", "park"):
                time.sleep(MOMENT / 4)
            elif work == "wake_writers":
                self.write_on(bus)
            else:
                self.take(0.05)

    def write_on(self, bus: AnyBus) -> None:
        number = self.number = self.number + 1
        try:
            if number < 300:
                self.put(bus, number, 0.05)
        except BusFullError:
            self.notes[number] = 0
            self.number -= 1
        while self.take(MOMENT):
            pass

    def take(self, timeout: float) -> bool:
        found = self.reader.read(timeout)
        if found is None:
            return False
        assert not isinstance(found, Gap), found
        if found.message_id == 10:
            return True
        number = struct.unpack("<Q", found.payload[:8])[0]
        expected = payload_of(number) if found.message_id == 1 else struct.pack("<Q", number)
        assert found.payload == expected, f"message {number} is torn: {found}"
        self.found.append(number)
        return True

    # ---- what must hold afterwards

    def witness(self, work: str) -> None:
        os.environ.pop("NANOBUS_STEPS", None)
        self.found: list[int] = []
        self.number = -1
        self.place = None
        bus = self.open_first(work)
        self.reader = bus.reader("oldest")
        self.prepare(work, bus)
        self.words[0] = 1
        self.attend(work, bus)
        while self.reader.position != bus.head:
            self.take(0.05)
        self.check_messages(work)
        self.check_place(work, bus)
        while len(bus.statistics().readers) > 1:                # a child of the victim may still have to go
            bus.reap()
            time.sleep(MOMENT)
        bus.reap()
        self.check_lines(bus)
        for number in range(2000, 2000 + 3 * CAPACITY // 160):
            bus.write(1, 1, payload_of(number), timeout=HANG_SECONDS)
            assert self.take(HANG_SECONDS)
            assert self.found[-1] == number
        self.check_lines(bus)
        statistics = bus.statistics()
        self.words[5], self.words[6], self.words[7] = (
            statistics.sealed, statistics.dead_writers, statistics.dead_readers
        )
        self.reader.close()
        bus.close()

    def check_messages(self, work: str) -> None:
        if work == "flush":
            assert self.found == list(range(1000, 1000 + len(self.found))), self.found
            assert len(self.found) >= self.words[8]
            return
        states = {number: self.notes[number] for number in range(ROOM) if self.notes[number]}
        allowed = [number for number, state in states.items() if state != ABORTED]
        assert self.found == [number for number in allowed if number in set(self.found)], f"{self.found}, {states}"
        missing = [number for number, state in states.items() if state == RETURNED and number not in self.found]
        assert not missing, f"lost {missing}, there are {self.found}"

    def check_place(self, work: str, bus: AnyBus) -> None:
        if self.place is None:
            return
        position = self.place.reclaim()
        if position is not None and work == "adopt":            # else the victim has closed its reader
            again = bus.adopt(self.place.ticket)
            assert again.position == position
            found = again.read(0)
            assert found is None or struct.unpack("<Q", found.payload[:8])[0] in range(4)
            again.close()
        self.place.let_go()

    def check_lines(self, bus: AnyBus) -> None:
        found = bus.statistics()
        assert len(found.writers) == 1, found
        assert len(found.readers) == 1, found
        assert found.gate == found.head, found

    # ---- the sweep

    def run(self, work: str, kill_at: int) -> bool:
        """Run `work` in a child that dies at step `kill_at`; whether it was killed there."""
        self.notes[:] = bytes(ROOM)
        for index in range(9):
            self.words[index] = 0
        shutil.rmtree(self.path, ignore_errors=True)            # a folder, or a file
        self.path.unlink(missing_ok=True)
        witness = fork(lambda: self.witness(work)) if work != "make" else 0
        while witness and not self.words[0]:
            self.check_end(witness, kill_at, os.WNOHANG)
            time.sleep(0.0002)
        self.steps[:] = struct.pack("<QQ", 0, kill_at)
        os.environ["NANOBUS_STEPS"] = str(self.steps_file)
        status = os.waitpid(fork(getattr(self, work)), 0)[1]
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if status and not killed:
            raise SystemExit(f"kill at step {kill_at}: status {status} of the victim")
        self.words[1] = 1
        self.check_end(witness or fork(lambda: self.witness(work)), kill_at)
        assert {one.name for one in self.folder.iterdir()} == {"a"}, list(self.folder.iterdir())
        return killed

    def check_end(self, witness: int, kill_at: int, flags: int = 0) -> None:
        ended, status = os.waitpid(witness, flags)
        if ended and (status or flags):
            raise SystemExit(f"kill at step {kill_at}: status {status} of the witness")
        if ended:
            for index, name in enumerate(("sealed", "dead_writers", "dead_readers"), 5):
                self.figures[name] += self.words[index]

    def sweep(self, work: str) -> None:
        while self.run(work, self.figures["kills"] + 1):
            self.figures["kills"] += 1


def main() -> None:
    sweep = Sweep(Path(sys.argv[1]), sys.argv[2])
    sweep.sweep(sys.argv[3])
    print(json.dumps(sweep.figures))


main()
