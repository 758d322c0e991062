"""What a journal knows of its messages: each codec before its first message, and nothing of what was cut away."""

import json
import subprocess
import sys
import threading
import time

import pytest

from nanobus import (
    CircularBus,
    Handler,
    HandlerError,
    JournalBus,
    Messenger,
    Record,
    SchemaMismatchError,
    Worker,
    f64,
    message,
    on,
    u64,
    upcast,
)
from nanobus.bus.codec import find_codec
from nanobus.cli import repair
from nanobus.cli.main import main
from nanobus.journaling import describe
from nanobus.schema import Decoder, load
from nanobus.schema.file import locked, opened
from services import OUTSIDE, Number

SEGMENT = 4096
LINES = {"writers": 6, "readers": 4}
BOOT = 1024 + 128 * sum(LINES.values()) + 48  # of the control file: the boot id

OPEN_AND_WAIT = """
import sys
from nanobus import JournalBus
with JournalBus(sys.argv[1]):
    print("open", flush=True)
    sys.stdin.readline()
"""


@message(id=2301)
class OldQuote(Record):
    ask: f64
    bid: f64


@message(id=2301)
class Quote(Record):
    bid: f64
    ask: f64


@message(id=2302)
class Note(Record):
    number: u64


@message(id=2302)
class ShortNote(Record):
    number: f64


@upcast(Quote, from_fingerprint=find_codec(OldQuote).fingerprint)
def as_quote(old):
    return Quote(bid=old.bid, ask=old.ask)


class Listener(Handler, id=230):
    @on(Quote)
    def quote(self, quote):
        self.config.append((quote.bid, quote.ask))


class OldListener(Handler, id=230):
    @on(OldQuote)
    def quote(self, quote):
        """Nothing: what counts is what it is described as."""


NOW = [Worker("listener", [Listener], {(OUTSIDE, Quote): [Listener]})]
THEN = [Worker("listener", [OldListener], {(OUTSIDE, OldQuote): [OldListener]})]


def make(path, **options):
    return JournalBus(path, segment_size=SEGMENT, sync_interval=1000, **LINES, **options)


def entries_of(path, message_id):
    return [(entry.name, entry.since) for entry in load(path).entries_of(message_id)]


def decoded(bus, position):
    found = bus.read(position)
    return Decoder(load(bus.path)).decode(found.message_id, found.payload, position)


@pytest.fixture
def upgraded(tmp_path):
    """A journal of eight old quotes, then eight of today's; 64 bytes each."""
    path = tmp_path / "journal"
    for workers, cls in ((THEN, OldQuote), (NOW, Quote)):
        with make(path) as bus:
            describe(bus, workers)
            with bus.sender(OUTSIDE) as sender:
                for number in range(8):
                    sender.send(cls(bid=float(number), ask=number + 0.5))
    assert entries_of(path, 2301) == [("OldQuote", 0), ("Quote", 512)]
    return path


def tear(path, position):
    """Damage the slot at `position`, and what the machine wrote last is not certain."""
    with (path / f"{0:016x}.segment").open("r+b") as file:
        file.seek(4096 + position + 40)
        file.write(b"torn")
    reboot(path)


def reboot(path):
    with (path / "control").open("r+b") as file:
        file.seek(BOOT)
        file.write(b"another boot id.")


# --------------------------------------------------------------------------------------------------------- cut


def test_layout_that_began_behind_a_cut_begins_anew_where_it_is_written_again(upgraded):
    tear(upgraded, 256)
    with make(upgraded) as bus:
        assert bus.recovery.cut_from == bus.head == 256
        assert entries_of(upgraded, 2301) == [("OldQuote", 0)]
        got = []
        with Messenger(bus, NOW, got).run(), bus.sender(OUTSIDE) as sender:
            position = sender.send(Quote(bid=100.0, ask=200.0))
        assert got == [(100.0, 200.0)]
        assert entries_of(upgraded, 2301) == [("OldQuote", 0), ("Quote", 256)]
        assert decoded(bus, position) == {"bid": 100.0, "ask": 200.0}


def test_layout_whose_messages_were_all_cut_begins_where_it_is_written_again(tmp_path):
    with make(tmp_path) as bus, bus.sender(OUTSIDE) as sender:
        for _ in range(4):
            bus.write(OUTSIDE, 1, bytes(32))
        sender.send(Note(1))
    assert entries_of(tmp_path, 2302) == [("Note", 256)]
    tear(tmp_path, 128)
    with make(tmp_path) as bus, bus.sender(OUTSIDE) as sender:
        assert decoded(bus, sender.send(Note(2))) == {"number": 2}
    assert entries_of(tmp_path, 2302) == [("Note", 128)]


def test_schema_that_cannot_be_read_does_not_keep_a_journal_from_being_recovered(upgraded, caplog):
    (upgraded / "schema.json").write_text("{")
    reboot(upgraded)
    with make(upgraded) as bus:
        assert (bus.recovery.reason, bus.head) == ("reboot", 1024)
    assert "schema.json must be JSON" in caplog.text


def test_repair_that_cuts_takes_out_of_the_schema_what_it_cut_away_and_keeps_it_aside(upgraded, capsys):
    before = load(upgraded)
    with (upgraded / f"{0:016x}.segment").open("r+b") as file:
        file.seek(4096 + 256)
        file.write(bytes(1024 - 256))
    assert main(["journal", "repair", str(upgraded), "--json"]) == 0
    row = json.loads(capsys.readouterr().out)
    assert row["head"] == 256
    assert entries_of(upgraded, 2301) == [("OldQuote", 0)]
    assert load(upgraded).sources == before.sources
    assert load(row["aside"]) == before
    with make(upgraded) as bus, bus.sender(OUTSIDE) as sender:
        assert decoded(bus, sender.send(Quote(bid=1.0, ask=2.0))) == {"bid": 1.0, "ask": 2.0}


def test_repair_that_was_interrupted_before_it_cut_the_schema_cuts_it_when_it_is_repeated(
    upgraded, capsys, monkeypatch
):
    before = load(upgraded)
    with (upgraded / f"{0:016x}.segment").open("r+b") as file:
        file.seek(4096 + 256)
        file.write(bytes(1024 - 256))
    monkeypatch.setattr(repair, "cut_schema", lambda *arguments: 1 / 0)
    assert main(["journal", "repair", str(upgraded)]) == 70
    monkeypatch.undo()
    assert load(upgraded) == before
    capsys.readouterr()
    for options in ("--dry-run", "--json"), ("--json",):
        assert main(["journal", "repair", str(upgraded), *options]) == 0
        row = json.loads(capsys.readouterr().out)
        assert (row["steps"], row["schema"], row["head"]) == ([], True, 256)
    assert entries_of(upgraded, 2301) == [("OldQuote", 0)]
    assert load(row["aside"]) == before
    assert main(["journal", "repair", str(upgraded)]) == 0
    assert capsys.readouterr().out == "nothing to repair\n"


# ------------------------------------------------------------------------------------------------------ sending


def test_what_a_sender_sends_without_a_messenger_is_described(tmp_path):
    pytest.importorskip("msgspec")          # of a pickle there is nothing to see
    with make(tmp_path) as bus, bus.sender(OUTSIDE) as sender:
        assert not (tmp_path / "schema.json").exists()
        assert decoded(bus, sender.send(Number(3))) == {"value": 3}
        position = bus.head
        with sender.claim(Quote) as quote:
            quote.bid = 1.0
        assert decoded(bus, position) == {"bid": 1.0, "ask": 0.0}
        assert entries_of(tmp_path, 2301) == [("Quote", position)]
        before = (tmp_path / "schema.json").stat().st_mtime_ns
        sender.send(Number(4))
        bus.sender(OUTSIDE).send(Quote(bid=1.0))
        assert (tmp_path / "schema.json").stat().st_mtime_ns == before


def test_what_a_handler_sends_without_a_route_is_described(tmp_path):
    pytest.importorskip("msgspec")          # of a pickle there is nothing to see
    class Talker(Handler, id=231):
        @on(Quote)
        def quote(self, quote):
            self.send(Number(7))
            with self.claim(Note) as note:
                note.number = 8
            self.stop()

    with make(tmp_path, timestamps=False) as bus:
        workers = [Worker("talker", [Talker], {(OUTSIDE, Quote): [Talker]})]
        with Messenger(bus, workers).run() as handles, bus.sender(OUTSIDE) as sender:
            sender.send(Quote())
            handles.join(30)
        with bus.reader() as reader:
            found = [one for one in iter(lambda: reader.read(0), None) if one.source == 231]
        assert [decoded(bus, one.position) for one in found] == [{"value": 7}, {"number": 8}]
        before = (tmp_path / "schema.json").read_bytes()

        class Other(Talker, id=231):
            @on(Quote)
            def quote(self, quote):
                self.send(OldQuote())

        workers = [Worker("talker", [Other], {(OUTSIDE, Quote): [Other]})]
        assert Messenger(bus, workers).replay(bus).sends == 1
        assert (tmp_path / "schema.json").read_bytes() == before        # a replay writes nothing


def test_sender_of_a_class_that_changed_is_refused_and_nothing_is_sent(tmp_path):
    with make(tmp_path) as bus, bus.sender(OUTSIDE) as sender:
        sender.send(Note(1))
        head = bus.head
        for _ in range(2):
            with pytest.raises(SchemaMismatchError, match="changed  number: u64 -> f64"):
                sender.send(ShortNote(1.0))
            with pytest.raises(SchemaMismatchError, match="changed  number"), sender.claim(ShortNote):
                pass
        assert bus.head == head
        sender.send(Note(2))


def test_handler_that_sends_a_class_that_changed_fails(tmp_path):
    class Talker(Handler, id=232):
        def on_start(self):
            self.send(ShortNote(1.0))

    with make(tmp_path) as bus:
        bus.sender(OUTSIDE).send(Note(1))
        with (
            pytest.raises(HandlerError, match="number: u64 -> f64"),
            Messenger(bus, [Worker("a", [Talker])]).run() as handles,
        ):
            handles.join(30)


def test_a_bus_that_keeps_no_schema_describes_nothing():
    with CircularBus(1 << 16) as ring, JournalBus() as memory:
        for bus in (ring, memory):
            assert bus.described is None
            bus.sender(OUTSIDE).send(Number(1))


# ------------------------------------------------------------------------------------------------ several processes


def test_new_layout_is_refused_while_another_process_may_write_the_old_one(tmp_path):
    with make(tmp_path) as bus:
        describe(bus, THEN)
        bus.sender(OUTSIDE).send(OldQuote(bid=1.0))
    command = [sys.executable, "-W", "ignore", "-c", OPEN_AND_WAIT, str(tmp_path)]
    old = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)
    assert old.stdout.readline() == "open\n"
    with JournalBus(tmp_path) as bus:
        assert bus.other_processes() == [old.pid]
        with pytest.raises(SchemaMismatchError, match=rf"Quote \(message 2301\) .* process {old.pid} may still write"):
            Messenger(bus, NOW, []).run()
        with pytest.raises(SchemaMismatchError, match=f"process {old.pid}"):
            bus.sender(OUTSIDE).send(Quote())
        describe(bus, THEN)                             # the layout that the journal has is fine
        bus.sender(OUTSIDE).send(Note(1))               # so is one that it has not
        assert entries_of(tmp_path, 2301) == [("OldQuote", 0)]
        old.communicate("go\n", timeout=30)
        assert bus.other_processes() == []
        describe(bus, NOW)
        assert entries_of(tmp_path, 2301) == [("OldQuote", 0), ("Quote", bus.head)]


def test_layout_begins_behind_what_was_written_while_the_schema_was_being_updated(tmp_path):
    with make(tmp_path) as bus:
        thread = threading.Thread(target=describe, args=(bus, NOW))
        with opened(tmp_path) as folder, locked(folder):
            thread.start()
            time.sleep(0.2)                             # so that it waits for the lock, if it can
            bus.write(OUTSIDE, 2301, bytes(16))
        thread.join(30)
        assert entries_of(tmp_path, 2301) == [("Quote", bus.head)]
