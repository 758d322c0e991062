"""Kill a process at every step it takes with a bus, before the eyes of a witness who has it open; prints the figures.

    python witness_sweep.py FOLDER ring|journal WORK [STRIDE FIRST]

Needs a build with -Dsteps=true (core/steps.pxd). The parent only forks. The witness opens the bus first, and does what
WORK needs of another process: parks as a reader, holds a place, leaves a claim of the dead. After the kill it has to
find every message that was written, once and whole; then it frees what the dead left, and goes round the ring.
What a process leaves that was alone with its journal is the matter of kill_sweep.py. STRIDE: every how manieth step is
killed at, beginning with the FIRST.
"""

from __future__ import annotations

import json
import os
import shutil
import signal
import struct
import sys
import time
from contextlib import suppress
from pathlib import Path

from sweep_victims import (
    ABORTED,
    BATCHES,
    CAPACITY,
    HANG_SECONDS,
    MOMENT,
    RETURNED,
    ROOM,
    AnyBus,
    Point,
    Victim,
    payload_of,
)

from forking import fork
from nanobus import BusFullError, Gap

SURVIVORS = 3  # in a row: then there are no more steps


class Sweep(Victim):
    def __init__(self, folder: Path, kind: str) -> None:
        super().__init__(folder, kind)
        self.figures = {"kills": 0, "sealed": 0, "dead_writers": 0, "dead_readers": 0}

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

        os.waitpid(fork(die, HANG_SECONDS), 0)

    def prepare(self, work: str, bus: AnyBus) -> None:
        if work in ("register", "adopt", "seal", "reap", "lap"):
            if work == "adopt":
                self.place = bus.hold()
                self.words[2], self.words[3], self.words[4] = self.place.ticket
            for number in range(3):
                self.put(bus, number)
        if work == "park" and self.kind == "ring":
            while self.write_on(bus, 0):
                pass
        if work in ("seal", "reap", "lap"):
            self.leave_dead_claim()
            self.put(bus, 3)
        if work == "wake_writers":
            self.place = bus.hold()
            self.words[2], self.words[3], self.words[4] = self.place.ticket

    def attend(self, work: str, bus: AnyBus) -> None:
        """Until the victim is dead; the witness's own reader reads nothing where the victim is to be the first."""
        while not self.is_over:
            if work in ("seal", "reap", "park", "write_batch_unread"):
                time.sleep(MOMENT / 4)
            elif work == "wake_writers":
                if self.number < 40:
                    self.write_on(bus, 0.05)
                while self.take(MOMENT):
                    pass
            else:
                self.take(0.05)

    def write_on(self, bus: AnyBus, timeout: float) -> bool:
        """Write the next message, and return whether there was room for it."""
        try:
            self.put(bus, self.number, timeout)
        except BusFullError:
            self.notes[self.number] = 0
            return False
        self.number += 1
        return True

    def take(self, timeout: float) -> bool:
        found = self.reader.read(timeout)
        if found is None:
            return False
        assert not isinstance(found, Gap), found
        if found.message_id == 10:
            return True
        number = struct.unpack("<Q", found.payload[:8])[0]
        expected = {
            1: payload_of(number), 9: struct.pack("<Q", number), 11: struct.pack("<Q", number) + b"!" * 400
        }[found.message_id]
        assert found.payload == expected, f"message {number} is torn: {found}"
        self.found.append(number)
        self.places.append(found.position)
        return True

    def try_every_position(self, bus: AnyBus) -> None:
        """While nothing of the dead is sealed: read, and open a reader, wherever that is allowed."""
        for position in range(0, bus.head, 32):
            if bus.read(position) is not None:
                self.read_early.append(position)
            with suppress(ValueError):
                bus.reader(position).close()
                self.opened_early.append(position)
        assert bus.statistics().sealed == 0

    # ---- what must hold afterwards

    def witness(self, work: str) -> None:
        os.environ.pop("NANOBUS_STEPS", None)
        self.found: list[int] = []
        self.places: list[int] = []
        self.read_early: list[int] = []
        self.opened_early: list[int] = []
        self.number = 0
        self.place = None
        bus = self.open_first(work)
        self.reader = bus.reader("oldest")
        self.prepare(work, bus)
        self.words[0] = 1
        self.attend(work, bus)
        if work == "write_batch_unread":
            self.try_every_position(bus)
        while self.reader.position != bus.head:
            self.take(0.05)
        self.check_messages(work, bus)
        bus.reap()                                              # which leaves the place to the witness
        self.check_place(work, bus)
        while len(bus.statistics().readers) > 1:                # a child of the victim may still have to go
            bus.reap()
            time.sleep(MOMENT)
        bus.reap()
        self.check_lines(bus)
        for number in range(2000, 2000 + 3 * CAPACITY // 200):
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

    def check_messages(self, work: str, bus: AnyBus) -> None:
        if work == "flush":
            assert self.found == list(range(1000, 1000 + len(self.found))), self.found
            assert len(self.found) >= self.words[8]
            return
        states = {number: self.notes[number] for number in range(ROOM) if self.notes[number]}
        allowed = [number for number, state in states.items() if state != ABORTED]
        assert self.found == [number for number in allowed if number in set(self.found)], f"{self.found}, {states}"
        if work.startswith("write_batch"):
            assert all(len({number in self.found for number in batch}) == 1 for batch in BATCHES), self.found
            for position in range(0, bus.head, 32):
                found = bus.read(position)
                assert found is None or position in self.places, f"there is a ghost at {position}: {found}"
            assert set(self.read_early) <= set(self.places), f"{self.read_early} were read, there are {self.places}"
            for position in self.opened_early:
                bus.reader(position).close()                    # that may be padding now, which is none's inside either
        missing = [number for number, state in states.items() if state == RETURNED and number not in self.found]
        assert not missing, f"lost {missing}, there are {self.found}"

    def check_place(self, work: str, bus: AnyBus) -> None:
        if self.place is None:
            return
        position = self.place.reclaim()
        if position is None:
            assert work != "adopt" or self.words[8] == 3, "the place is gone, and the victim had not begun to close it"
        elif work == "adopt":
            again = bus.adopt(self.place.ticket)
            assert again.position == position
            found = again.read(0)
            following = struct.unpack("<Q", found.payload[:8])[0] if found else 3
            assert following - self.words[8] in (0, 1), f"{self.words[8]} were read, {following} would follow"
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
        witness = fork(lambda: self.witness(work), HANG_SECONDS) if work != "make" else 0
        while witness and not self.words[0]:
            self.check_end(witness, kill_at, os.WNOHANG)
            time.sleep(0.0002)
        self.steps[:] = struct.pack("<QQ", 0, kill_at)
        os.environ["NANOBUS_STEPS"] = str(self.steps_file)
        status = os.waitpid(fork(getattr(self, work), HANG_SECONDS), 0)[1]
        killed = os.WIFSIGNALED(status) and os.WTERMSIG(status) == signal.SIGKILL
        if status and not killed:
            raise SystemExit(f"kill at step {kill_at}: status {status} of the victim")
        self.words[1] = 1
        self.check_end(witness or fork(lambda: self.witness(work), HANG_SECONDS), kill_at)
        assert {one.name for one in self.folder.iterdir()} == {"a"}, list(self.folder.iterdir())
        return killed

    def check_end(self, witness: int, kill_at: int, flags: int = 0) -> None:
        ended, status = os.waitpid(witness, flags)
        if ended and (status or flags):
            raise SystemExit(f"kill at step {kill_at}: status {status} of the witness")
        if ended:
            for index, name in enumerate(("sealed", "dead_writers", "dead_readers"), 5):
                self.figures[name] += self.words[index]

    def sweep(self, work: str, stride: int = 1, first: int = 1) -> None:
        """Kill at ever later steps. One that survives says little: how many steps there are is a matter of timing."""
        self.figures |= {"stride": stride, "first": first}
        kill_at, survived = first, 0
        while survived < SURVIVORS:
            killed = self.run(work, kill_at)
            self.figures["kills"] += killed
            survived = 0 if killed else survived + 1
            kill_at += stride


def main() -> None:
    sweep = Sweep(Path(sys.argv[1]), sys.argv[2])
    sweep.sweep(sys.argv[3], *map(int, sys.argv[4:]))
    print(json.dumps(sweep.figures))


if __name__ == "__main__":
    main()
