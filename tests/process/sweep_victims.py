"""What a process does with a bus while witness_sweep.py counts its steps, and kills it at one of them."""

from __future__ import annotations

import json
import mmap
import os
import select
import signal
import struct
import time
from pathlib import Path
from typing import Annotated

from forking import fork
from nanobus import BusFullError, CircularBus, Handler, JournalBus, Messenger, Record, Worker, message, on, u64
from nanobus.bus.circular import inherit_ring

CAPACITY = 4096
LINES = {"writers": 5, "readers": 4}
TRIED, RETURNED, ABORTED = 1, 2, 3
HANG_SECONDS = 30
ROOM = 4096
BURST = 12  # messages: more than the ring has room for
BATCHES = [range(3), range(3, 4), range(4, 8)]
MOMENT = 0.002  # seconds: a quarter is long enough to park


@message(id=9)
class Point(Record):
    number: u64


@message(id=11)
class Wide(Record):
    number: u64
    filler: Annotated[bytes, 400]


@message(id=10)
class Burst(Record):
    number: u64


class Source(Handler, id=1):
    """Sends more than the ring takes, so that the rest goes by the outbox."""

    @on(Burst)
    def burst(self, burst: Burst) -> None:
        for number in range(burst.number, burst.number + BURST):
            self.send(Wide(number=number, filler=b"!" * 400))


AnyBus = CircularBus | JournalBus


class AbortError(Exception):
    pass


def payload_of(number: int) -> bytes:
    return struct.pack("<Q", number) + bytes(number * 7 + at & 0xFF for at in range(number * 37 % 400))


class Victim:
    """What witness, victim and parent share, and every work there is."""

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

    # words: 0 the witness is ready | 1 the victim is over | 2.. a ticket | 5.. figures of the witness
    #        8 messages that are certainly sent, or were read

    @property
    def is_over(self) -> bool:
        return bool(self.words[1])

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

    def write_batch(self) -> None:
        """Commit batches."""
        with self.open() as bus, bus.sender(1) as sender:
            for numbers in BATCHES:
                for number in numbers:
                    self.notes[number] = TRIED
                sender.send_batch(Point, struct.pack(f"<{len(numbers)}Q", *numbers))
                for number in numbers:
                    self.notes[number] = RETURNED

    write_batch_unread = write_batch

    def lap(self) -> None:
        """Go round the ring, looking for the gate, and reaping a dead reader and a dead writer; waits for room."""
        with self.open() as bus:
            for number in range(10, 34):
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
                self.put(bus, 1000, MOMENT / 4)
            except BusFullError:
                self.notes[1000] = 0

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
                self.words[8] = number + 1
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

        return fork(read_until_orphaned, HANG_SECONDS), told_end, ready_end

    def flush(self) -> None:
        """Handle a message by sending more than there is room for, and flush the outbox."""
        bus = self.open()
        messenger = Messenger(bus, workers=[Worker("source", [Source], routes={(2, Burst): [Source]})])
        with messenger.run():
            with bus.sender(2) as sender:
                sender.send(Burst(number=1000))
        bus.close()
        self.words[8] = BURST
