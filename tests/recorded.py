"""A journal that a run of three handlers has left, and how the tests of the command line look at it and damage it."""

import json
from pathlib import Path

import pytest

from nanobus import Handler, JournalBus, Messenger, Record, Worker, f64, message, on
from nanobus.cli.main import main
from services import OUTSIDE

msgspec = pytest.importorskip("msgspec")

SEGMENT_SIZE = 4096
HEADER = 4096


@message(id=1201)
class Reading(msgspec.Struct):
    sensor: str
    value: float


@message(id=1202)
class Average(Record):
    value: f64


@message(id=1203)
class Alarm(msgspec.Struct):
    text: str


class Averager(Handler, id=41):
    @on(Reading)
    def reading(self, reading):
        self.send(Average(value=reading.value / 2))


class Watcher(Handler, id=42):
    @on(Average)
    def average(self, average):
        if average.value > 40:
            self.send(Alarm(f"{average.value} is high"))


class Siren(Handler, id=43):
    def __init__(self, config):
        super().__init__(config)
        self.alarms = 0

    @on(Alarm)
    def alarm(self, alarm):
        self.alarms += 1
        if self.alarms == 2:
            self.stop()


WORKERS = [
    Worker("first", [Averager], {(OUTSIDE, Reading): [Averager]}),
    Worker("second", [Watcher], {(Averager, Average): [Watcher]}),
    Worker("third", [Siren], {(Watcher, Alarm): [Siren]}),
]


def record(path, readings=200, **options):
    """Record a run over several segments, two of whose readings raise an alarm; return the positions of those."""
    bus = JournalBus(path, segment_size=SEGMENT_SIZE, **options)
    loud = []
    with Messenger(bus, WORKERS).run() as handles, bus.sender(OUTSIDE) as sender:
        for number in range(readings):
            high = number in (20, readings - 20)
            position = sender.send(Reading("north" if number % 2 else "south", 100.0 if high else float(number % 50)))
            if high:
                loud.append(position)
        handles.join(30)
    bus.close()
    return loud


def segments_of(path):
    """The files of the segments, in order; the last may be empty."""
    return sorted(Path(path).glob("*.segment"))


def flip(path, offset, mask=0x40):
    """Flip a bit of the byte at `offset` of a file."""
    with open(path, "r+b") as file:
        file.seek(offset)
        byte = file.read(1)[0]
        file.seek(offset)
        file.write(bytes([byte ^ mask]))


def snapshot(path):
    """Every file of a folder with its bytes, mode and time of change."""
    return {
        one.name: (one.read_bytes(), one.stat().st_mode, one.stat().st_mtime_ns) for one in Path(path).iterdir()
    }


def read_all(path):
    """Position and payload of every message, by the bus itself."""
    with JournalBus(path) as bus, bus.reader() as reader:
        found = []
        while (one := reader.read(0)) is not None:
            found.append((one.position, one.message_id, one.payload))
        return found


class Command:
    """Runs `nanobus journal`, and keeps what it printed and its exit code."""

    def __init__(self, capsys):
        self.capsys = capsys
        self.code = None
        self.out = self.errors = ""

    def __call__(self, *arguments):
        self.capsys.readouterr()
        try:
            self.code = main(["journal", *map(str, arguments)])
        except SystemExit as error:
            self.code = error.code
        self.out, self.errors = self.capsys.readouterr()
        return self.out

    def lines(self, *arguments):
        """The rows of JSON Lines."""
        return [json.loads(line) for line in self(*arguments, "--json").splitlines()]

    def row(self, *arguments):
        """The one object of JSON."""
        [row] = self.lines(*arguments)
        return row
