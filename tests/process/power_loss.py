"""Take the power away from a journal, many times over; prints the figures.

    python power_loss.py FOLDER FIRST_SEED ROUNDS

What the disk has after a power loss: of the segments every page as it was at the last sync or, at random, as it was
written since; new files that were not synced may be gone, or empty; files that retention removed may be back, the last
ones first; of the control file, which nobody syncs, each page in any of the versions it ever had. The boot id is a new
one.
"""

import json
import random
import shutil
import signal
import struct
import sys
from pathlib import Path

from nanobus import JournalBus, Record, Retention, message, u64

PAGE = 4096
SEGMENT = 16384
ROUND_SECONDS = 60


@message(id=9)
class Point(Record):
    number: u64
    marks: u64


def pages_of(content: bytes) -> list[bytes]:
    return [content[at : at + PAGE] for at in range(0, len(content), PAGE)]


class Disk:
    """What is certainly on it, and what may be."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.synced: dict[str, bytes] = {}
        self.removed: dict[str, bytes] = {}
        self.controls: list[list[bytes]] = []

    def segments(self) -> dict[str, bytes]:
        return {file.name: file.read_bytes() for file in self.path.glob("*.segment")}

    def note_control(self) -> None:
        self.controls.append(pages_of((self.path / "control").read_bytes()))

    def note_sync(self) -> None:
        self.synced = self.segments()
        self.note_control()

    def keep_house(self, bus: JournalBus) -> None:
        before = self.segments()
        bus.keep_house()
        self.removed |= {name: before[name] for name in before if name not in self.segments()}

    def lose_power(self, dice: random.Random, lines: int) -> int:
        """Leave in the folder what a power loss might; return how many pages were lost."""
        self.note_control()
        lost = 0
        chance = dice.choice([0.1, 0.5, 0.9])
        for name, content in self.segments().items():
            before = self.synced.get(name)
            if before is None and dice.random() < 0.3:
                (self.path / name).unlink()
                continue
            if before is None and dice.random() < 0.1:
                (self.path / name).write_bytes(b"")
                continue
            old, kept = pages_of(before or b""), []
            for index, page in enumerate(pages_of(content)):
                was = old[index] if index < len(old) else bytes(len(page))
                is_lost = page != was and dice.random() < chance
                lost += is_lost
                kept.append(was if is_lost else page)
            if len(kept) > max(len(old), 1) and dice.random() < 0.2:
                kept = kept[: max(len(old), dice.randrange(1, len(kept)))]
            (self.path / name).write_bytes(b"".join(kept))
        gone = sorted(self.removed)
        for name in gone[dice.randrange(len(gone) + 1) :]:
            (self.path / name).write_bytes(self.removed[name])
            (self.path / name).chmod(0o600)
        control = bytearray(
            b"".join(dice.choice(self.controls)[index] for index in range(len(self.controls[0])))
        )
        boot_at = 1024 + 128 * lines + 48
        if any(control[boot_at : boot_at + 16]):
            control[boot_at : boot_at + 16] = dice.randbytes(16)
        (self.path / "control").write_bytes(control)
        self.controls = [pages_of(bytes(control))]
        self.synced, self.removed = self.segments(), {}
        return lost


class Round:
    def __init__(self, path: Path, seed: int, figures: dict[str, int]) -> None:
        self.path, self.seed, self.figures = path, seed, figures
        self.dice = random.Random(seed)
        self.lines = self.dice.choice([2, 64])
        self.sync = self.dice.choice(["none", "interval", "commit"])
        self.retention = self.dice.choice([None, Retention(count=2)])
        self.disk = Disk(path)
        self.sent: dict[int, bytes] = {}  # position -> payload: what is, or may be, in the journal
        self.promised = 0
        self.tail = 0  # what is before it may be gone
        self.count = 0

    def open(self) -> JournalBus:
        return JournalBus(
            self.path, segment_size=SEGMENT, sync=self.sync, sync_interval=1000, retention=self.retention,
            writers=self.lines, readers=self.lines,
        )

    def put(self, bus: JournalBus, size: int | None = None) -> None:
        self.count += 1
        size = self.dice.choice([0, 5, 32, 100, 700, 3000, 9000]) if size is None else size
        payload = struct.pack("<QQ", self.seed, self.count) + self.dice.randbytes(size)
        self.sent[bus.write(1, 1, payload)] = payload
        if self.sync == "commit":
            self.disk.note_sync()
            self.promised = bus.head
        elif self.dice.random() < 0.3:
            self.disk.note_control()

    def write_some(self, bus: JournalBus) -> None:
        for _ in range(self.dice.randrange(30)):
            self.put(bus)
            if self.dice.random() < 0.1:
                bus.sync() if self.dice.random() < 0.5 or self.sync == "none" else self.disk.keep_house(bus)
                self.disk.note_sync()
                self.promised = bus.durable
                assert self.promised == bus.head
            if self.dice.random() < 0.05:
                self.disk.keep_house(bus)  # makes the next segment, and syncs where one is full
                if bus.durable > self.promised:
                    self.disk.note_sync()
                    self.promised = bus.durable
            self.figures["segments_removed"] += (bus.tail - self.tail) // SEGMENT
            self.tail = bus.tail

    def check(self, bus: JournalBus, image: dict[str, bytes]) -> None:
        found = {}
        reader = bus.reader(gate=False)
        while (envelope := reader.read(0)) is not None:
            found[envelope.position] = envelope.payload
        reader.close()
        assert bus.tail <= self.tail, "more is gone than retention has removed"
        known = sorted(position for position in self.sent if position >= bus.tail)
        promised = [position for position in known if self.tail <= position < self.promised]
        self.figures["removals_undone"] += bus.tail < self.tail
        self.tail = bus.tail
        assert list(found) == known[: len(found)], "what is found is no prefix"
        assert all(self.sent[position] == payload for position, payload in found.items())
        assert all(position in found for position in promised), "what was promised is gone"
        head = bus.head
        assert head >= self.promised
        behind = any(
            content[PAGE + max(0, head - int(name[:16], 16)) :].strip(b"\0") for name, content in image.items()
        )
        recovery = bus.recovery
        assert recovery.reason in ("reboot", "new")
        assert (recovery.cut_from == head and recovery.cut_bytes > 0) if behind else recovery.cut_bytes >= 0, recovery
        self.figures["messages_kept"] += len(found)
        self.figures["messages_cut"] += len(known) - len(found)
        self.figures["cuts_reported"] += recovery.cut_bytes > 0
        self.sent = found
        self.promised = head

    def check_for_ghosts(self, bus: JournalBus, end: int) -> None:
        """Nothing that was cut shows up between the messages written since."""
        for position in range(0, max(end, bus.head), 32):
            envelope = bus.read(position)
            assert (envelope.payload if envelope else None) == self.sent.get(position), f"a ghost at {position}"
            self.figures["positions_probed"] += 1

    def run(self) -> None:
        bus = self.open()
        self.disk.note_sync()
        self.disk.synced = {}
        for _ in range(self.dice.randrange(1, 4)):
            self.write_some(bus)
            if self.dice.random() < 0.5:  # a message that is being written
                sender = bus.sender(3)
                claim = sender.claim(Point)
                point = claim.__enter__()
                point.number = self.count
                if self.dice.random() < 0.5 and self.sync != "commit":
                    self.put(bus)
            else:
                claim = None
            end = bus.head + SEGMENT
            files = {file.name: file.read_bytes() for file in self.path.iterdir()}
            if claim is not None:
                claim.__exit__(ValueError, ValueError(), None)
                sender.close()
            bus.close()
            for left in self.path.iterdir():
                left.unlink()
            for name, content in files.items():
                (self.path / name).write_bytes(content)
            self.figures["pages_lost"] += self.disk.lose_power(self.dice, 2 * self.lines)
            self.figures["power_losses"] += 1
            image = self.disk.segments()
            if self.dice.random() < 0.3:
                self.open().close()  # a first recovery whose own control pages are lost
                self.disk.note_control()
                control = b"".join(self.disk.controls[0])
                (self.path / "control").write_bytes(control)
                self.figures["recoveries_repeated"] += 1
                image = self.disk.segments()
            bus = self.open()
            self.disk.note_sync()
            self.check(bus, image)
            for _ in range(self.dice.randrange(4)):
                self.put(bus, self.dice.choice([0, 16, 400]))
            self.check_for_ghosts(bus, end)
        bus.close()


def main() -> None:
    folder, first, rounds = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    figures = dict.fromkeys(
        ["power_losses", "pages_lost", "messages_kept", "messages_cut", "cuts_reported", "positions_probed",
         "recoveries_repeated", "segments_removed", "removals_undone"], 0,
    )
    for seed in range(first, first + rounds):
        shutil.rmtree(folder / "journal", ignore_errors=True)
        signal.alarm(ROUND_SECONDS)
        print(f"seed {seed}", file=sys.stderr, flush=True)
        Round(folder / "journal", seed, figures).run()
    print(json.dumps(figures))


main()
