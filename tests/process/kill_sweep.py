"""Kill a process at every step it takes with a journal, and again at every step of the recovery; prints the figures.

    python kill_sweep.py FOLDER WORK STRIDE

Needs a build with -Dsteps=true (core/steps.pxd). The parent only forks: whatever opens a journal is a child, so that a
kill, a crash or a hang is seen as what it is. STRIDE: of the steps of a recovery every how manieth is killed at.
"""

import json
import mmap
import os
import shutil
import signal
import struct
import sys
from pathlib import Path

from forking import fork
from nanobus import JournalBus, Record, Retention, message, u64

LINES = {"writers": 2, "readers": 2}
BOOT_AT = 1024 + 128 * (LINES["writers"] + LINES["readers"]) + 48
TRIED, RETURNED, ABORTED = 1, 2, 3
HANG_SECONDS = 20
ROOM = 4096


@message(id=9)
class Point(Record):
    number: u64


class AbortError(Exception):
    pass


def payload_of(number: int) -> bytes:
    """What message `number` must hold: one in four is large, so that segments roll."""
    size = 1400 if number % 4 == 1 else number % 90
    return struct.pack("<Q", number) + bytes(number * 7 + at & 0xFF for at in range(size))


class Sweep:
    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.path = folder / "journal"
        steps = folder / "steps"
        steps.write_bytes(bytes(16))
        os.environ["NANOBUS_STEPS"] = str(steps)
        with steps.open("r+b") as file:
            self.steps = mmap.mmap(file.fileno(), 16)
        self.notes = mmap.mmap(-1, ROOM)  # what became of each message: shared with the children
        self.cursor = mmap.mmap(-1, 16)  # made or not | messages it has passed
        self.figures = {"kills": 0, "recovery_kills": 0, "openings": 0, "lost": 0, "ghosts": 0, "crashes": 0}

    def run(self, work, kill_at=0) -> bool:
        """Run `work` in a child that dies at step `kill_at`; whether it was killed there."""
        self.steps[:] = struct.pack("<QQ", 0, kill_at)
        status = os.waitpid(fork(work, HANG_SECONDS), 0)[1]
        if os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL:
            return True
        if status:
            self.figures["crashes"] += 1
            raise SystemExit(f"kill at step {kill_at} of {work.__name__}: status {status}")
        return False

    # ---- what the killed process does ----

    def put(self, bus, number) -> None:
        self.notes[number] = TRIED
        bus.write(1, 1, payload_of(number))
        self.notes[number] = RETURNED

    def put_in_place(self, sender, number, fails) -> None:
        self.notes[number] = ABORTED if fails else TRIED
        try:
            with sender.claim(Point) as point:
                point.number = number
                if fails:
                    raise AbortError
        except AbortError:
            return
        self.notes[number] = RETURNED

    def write(self, sync) -> None:
        """Write, abort, roll over segments, sync, close."""
        with JournalBus(self.path, segment_size=4096, sync=sync, sync_interval=1000, **LINES) as bus:
            for number in range(6):
                self.put(bus, number)
            bus.sync()
            with bus.sender(1) as sender:
                self.put_in_place(sender, 6, fails=True)
                self.put_in_place(sender, 7, fails=False)
            self.put(bus, 8)
            self.put(bus, 9)

    def write_none(self) -> None:
        self.write("none")

    def write_commit(self) -> None:
        self.write("commit")

    def overtake(self) -> None:
        """Write behind a claim that stays open."""
        with JournalBus(self.path, segment_size=4096, sync_interval=1000, **LINES) as bus, bus.sender(1) as sender:
            self.put(bus, 0)
            self.notes[1] = TRIED
            with sender.claim(Point) as point:
                point.number = 1
                for number in range(2, 6):
                    self.put(bus, number)
            self.notes[1] = RETURNED
            self.put(bus, 6)

    def keep(self) -> None:
        """Read with a named cursor, and let segments go behind it."""
        with JournalBus(
            self.path, segment_size=4096, sync_interval=1000, retention=Retention(count=1), **LINES
        ) as bus:
            for number in range(4):
                self.put(bus, number)
            reader = bus.reader("here")
            self.cursor[0] = 1
            for number in range(4, 10):
                self.put(bus, number)
                reader.read(0)
                self.cursor[1] += 1
                bus.keep_house()
            reader.close()
            bus.keep_house()

    # ---- what must hold afterwards ----

    def open(self) -> None:
        JournalBus(self.path, segment_size=4096, sync_interval=1000, **LINES).close()

    def read_all(self, bus) -> list[int]:
        numbers = []
        reader = bus.reader(gate=False)
        while (found := reader.read(0)) is not None:
            number = struct.unpack("<Q", found.payload[:8])[0]
            expected = payload_of(number) if found.message_id == 1 else struct.pack("<Q", number)
            assert found.payload == expected, f"message {number} is torn: {found}"
            assert bus.read(found.position).payload == expected
            numbers.append(number)
        reader.close()
        return numbers

    def check(self) -> None:
        """Open, read, open again: all that returned, at most what was in flight besides, in order, once."""
        with JournalBus(self.path, segment_size=4096, sync_interval=1000, **LINES) as bus:
            numbers = self.read_all(bus)
            cursors = bus.cursors()
            tail, head = bus.tail, bus.head
            assert tail <= bus.durable <= head
        states = {number: self.notes[number] for number in range(ROOM) if self.notes[number]}
        allowed = [number for number, state in states.items() if state != ABORTED]
        assert numbers == [number for number in allowed if number in set(numbers)], f"{numbers}, allowed {allowed}"
        passed = self.cursor[1] if self.cursor[0] else 0
        missing = [n for n, state in states.items() if state == RETURNED and n not in numbers and n >= passed]
        assert not missing, f"lost {missing}, there are {numbers}, {states}"
        assert tail or not numbers or numbers[0] == 0
        assert numbers == [n for n in allowed if numbers and n >= numbers[0] and n in set(numbers)]
        if self.cursor[0]:
            assert cursors, "the cursor is gone"
        if cursors:
            assert tail <= cursors["here"] <= head
        with JournalBus(self.path, segment_size=4096, sync_interval=1000, **LINES) as bus:
            assert bus.recovery.reason == "clean", bus.recovery
            assert bus.recovery.sealed == 0
            assert bus.recovery.cut_bytes == 0
            assert self.read_all(bus) == numbers
            if cursors:
                reader = bus.reader("here")
                found = reader.read(0)
                number = self.cursor[1]
                assert (struct.unpack("<Q", found.payload[:8])[0] if found else head) in (
                    (number, number + 1, head) if self.cursor[0] else (0,)
                ), f"the cursor is at {found}, {number} were read"
                reader.close()
            position = bus.write(2, 1, payload_of(3000))
            assert bus.read(position).payload == payload_of(3000)
            assert self.read_all(bus) == [*numbers, 3000]

    # ---- the sweep ----

    def change_boot(self) -> None:
        """Let the next opening take this for another run of the machine."""
        try:
            with (self.path / "control").open("r+b") as file:
                file.seek(BOOT_AT)
                boot = file.read(16)
                if boot.strip(b"\0"):
                    file.seek(BOOT_AT)
                    file.write(bytes(byte ^ 0x55 for byte in boot))
        except FileNotFoundError:
            pass

    def sweep(self, work, stride, reboots) -> None:
        kill_at, killed = 0, True
        while killed:
            kill_at += 1
            shutil.rmtree(self.path, ignore_errors=True)
            self.notes[:] = bytes(ROOM)
            self.cursor[:] = bytes(16)
            killed = self.run(work, kill_at)
            self.figures["kills"] += killed
            if not self.path.exists():
                continue
            for reboot in (False, True) if reboots else (False,):
                kept = self.folder / "kept"
                shutil.rmtree(kept, ignore_errors=True)
                shutil.copytree(self.path, kept)
                again, recovery_killed = kill_at % stride + 1, True
                while recovery_killed:
                    shutil.rmtree(self.path)
                    shutil.copytree(kept, self.path)
                    if reboot:
                        self.change_boot()
                    recovery_killed = self.run(self.open, again)
                    self.figures["recovery_kills"] += recovery_killed
                    self.figures["openings"] += 3
                    self.run(self.check)
                    again += stride
                shutil.rmtree(self.path)
                shutil.copytree(kept, self.path)
        self.figures["steps"] = kill_at - 1


def main() -> None:
    folder, work, stride = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3])
    sweep = Sweep(folder)
    sweep.sweep(getattr(sweep, work), stride, reboots=work != "overtake")
    print(json.dumps(sweep.figures))


main()
