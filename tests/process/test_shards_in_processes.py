"""Shards at work: each message handled by exactly one of them, whatever dies."""

import itertools
import json
import os
import struct

import psutil
import pytest

from nanobus import (
    CircularBus,
    DivergenceError,
    HandlerError,
    JournalBus,
    Messenger,
    RoutingError,
    Worker,
    WorkerDiedError,
)
from nanobus.bus.envelope import TIMER_ID
from nanobus.cli.main import main
from nanobus.dispatch.division import Division
from nanobus.schema import Schema
from nanobus.sharding import finder_of_shards, shards_of
from programs import SECONDS, wait_until
from sharded import OUTSIDE, Booked, Booker, Clock, auditor, book, bookers, entries


def open_bus(kind, folder):
    return CircularBus(1 << 20, timestamps=True) if kind == "ring" else JournalBus(folder / "journal")


def kill_process_of(worker):
    """Kill it once it is there: a spawned process is called with the name of its worker."""
    found = []

    def is_there():
        found.extend(one for one in psutil.Process().children() if one.cmdline()[-1:] == [worker])
        return found

    wait_until(is_there)
    found[0].kill()


def messages_on(bus):
    with bus.reader() as reader:
        return list(iter(lambda: reader.read(0), None))


@pytest.mark.parametrize("shard_by", [None, "account"])
@pytest.mark.parametrize(("kind", "shards"), [("ring", 2), ("ring", 3), ("journal", 3)])
def test_each_message_is_handled_by_exactly_one_shard(tmp_path, kind, shards, shard_by):
    worker = bookers(shards, shard_by)
    with open_bus(kind, tmp_path) as bus:
        find = finder_of_shards(worker, bus, Schema())
        seen, handles = book(bus, [worker, auditor()], entries(600), **{"says process": True})
        assert sorted(one.number for one in seen) == list(range(600))
        for one in (one for one in messages_on(bus) if one.source == Booker.source_id):
            assert one.decode(Booked).shard == find(one.cause)
        assert Messenger(bus, [worker, auditor()], {}).replay(bus, "rebuild").handled == 1200
    assert {one.shard for one in seen} == set(range(shards))
    assert len({one.process for one in seen}) == shards
    assert os.getpid() not in {one.process for one in seen}
    counters = handles.statistics()
    assert list(counters) == [f"booker/{shard}" for shard in range(shards)] + ["auditor"]
    for shard in range(shards):
        own = sum(one.shard == shard for one in seen)
        assert (counters[f"booker/{shard}"]["handled"], counters[f"booker/{shard}"]["failures"]) == (own, 0)


def test_messages_of_one_key_are_handled_in_their_order_by_one_shard():
    sent = entries(900)
    seen, _ = book(CircularBus(1 << 20), [bookers(3), auditor()], sent)
    for account in {one.account for one in seen}:
        of_account = [one for one in seen if one.account == account]
        assert len({one.shard for one in of_account}) == 1
        assert [one.number for one in of_account] == [
            one.number for one in sent if one.account in (account, account.encode())
        ]


@pytest.mark.parametrize("shard_by", [None, "account"])
def test_killed_shard_goes_on_exactly_once(tmp_path, shard_by):
    worker = bookers(2, shard_by, cursor="books", restart="on-failure", max_restarts=20, backoff=0.001)
    workers = [worker, auditor()]
    config = {"seen": []}
    seen = config["seen"]
    sent = entries(1000)
    with JournalBus(tmp_path / "journal") as journal:
        with Messenger(journal, workers, config).run() as handles:
            sender = journal.sender(OUTSIDE)
            for part in range(5):
                for one in sent[part * 200 : (part + 1) * 200]:
                    sender.send(one)
                wait_until(lambda part=part: len(seen) > part * 200 + 60)
                if part < 4:
                    kill_process_of("booker/0")
                    wait_until(lambda part=part: handles.statistics()["booker/0"]["restarts"] == part + 1)
            wait_until(lambda: len(seen) == 1000)
            counters = handles.statistics()
        assert sorted(one.number for one in seen) == list(range(1000))
        assert (counters["booker/0"]["restarts"], counters["booker/1"]["restarts"]) == (4, 0)
        assert set(journal.cursors()) == {one.cursor for one in shards_of([worker])}
        result = Messenger(journal, workers, {}).replay(journal, "verify")
        assert (result.compared, result.unfinished) == (1000, 0)
        assert sorted(number for one in result.handlers[Booker] for number in one.entries) == list(range(1000))
    assert psutil.Process().children() == []


def test_shards_go_on_at_their_cursors_and_in_no_other_division(tmp_path):
    with JournalBus(tmp_path / "journal") as journal:
        first, _ = book(journal, [bookers(cursor="books"), auditor()], entries(100))
        positions = journal.cursors()
        for shards, shard_by in ((1, "account"), (3, "account"), (2, "number"), (2, None)):
            with pytest.raises(RoutingError, match=r"'books\.0of2\.account', 'books\.1of2\.account'"):
                book(journal, [bookers(shards, shard_by, cursor="books"), auditor()], [])
        assert journal.cursors() == positions
        sender = journal.sender(OUTSIDE)
        late = entries(150)[100:]
        for one in late:
            sender.send(one)                            # while nobody runs
        config = {"seen": [], "enough": 50}
        with Messenger(journal, [bookers(cursor="books"), auditor()], config).run() as handles:
            handles.join(SECONDS)
        assert sorted(one.number for one in [*first, *config["seen"]]) == list(range(150))


def test_death_and_errors_of_a_shard_bear_its_name():
    deadly, bad = 300, 400
    with pytest.raises(WorkerDiedError) as died:
        book(CircularBus(1 << 20), [bookers(), auditor()], entries(500), actions={deadly: "dies"})
    with pytest.raises(HandlerError) as failed:
        book(CircularBus(1 << 20), [bookers(), auditor()], entries(500), actions={bad: "fails"})
    division = Division(2, "account")
    assert died.value.worker == f"booker/{division.of(entries(500)[deadly])}"
    assert failed.value.worker == f"booker/{division.of(entries(500)[bad])}"
    assert (failed.value.handler, failed.value.message.number) == (Booker, bad)


def test_what_does_not_travel_to_a_shard_is_named():
    bus = CircularBus(4096)
    messenger = Messenger(bus, [bookers(on_error=lambda error: True), auditor()], {})
    with pytest.raises(RoutingError, match="worker 'booker/0' cannot have a process of its own, its on_error does not"):
        messenger.run()
    assert bus.statistics().readers == ()


def test_forked_shards_share_the_work():
    seen, _ = book(CircularBus(1 << 20), [bookers(2, process="fork"), auditor()], entries(200))
    assert sorted(one.number for one in seen) == list(range(200))
    assert {one.shard for one in seen} == {0, 1}


def test_each_shard_has_ticks_of_its_own_which_replay(tmp_path, capsys):
    workers = [Worker("clock", [Clock], shards=2), auditor(Clock)]
    with JournalBus(tmp_path / "journal") as journal:
        seen = []
        messenger = Messenger(journal, workers, {"seen": seen})
        with messenger.run():
            wait_until(lambda: all(
                sum((one.account, one.shard) == wanted for one in list(seen)) >= 3
                for wanted in itertools.product(("fast", "slow"), (0, 1))
            ))
        found = {one.position: one for one in messages_on(journal)}
        answers = [one for one in found.values() if one.source == Clock.source_id and one.message_id != TIMER_ID]
        for one in answers:
            tick = found[one.cause]
            timer, shard = struct.unpack("<II", tick.payload)
            answer = one.decode(Booked)
            assert (tick.message_id, answer.shard, answer.account) == (TIMER_ID, shard, ("fast", "slow")[timer])
        for shard in (0, 1):
            fast = [one.decode(Booked) for one in answers if one.decode(Booked).account == "fast"]
            own = [one.number for one in fast if one.shard == shard]
            assert own == list(range(1, len(own) + 1))
            assert len(own) >= 3
        messenger.config = {}
        result = messenger.replay(journal, "verify")
        assert result.compared == len(answers)
        assert len(result.handlers[Clock]) == 2
    main(["journal", "cat", str(tmp_path / "journal"), "--json"])
    rows = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    shown = [(row["payload"]["timer"], row["payload"]["shard"]) for row in rows if row["message_name"] == "tick"]
    assert set(shown) == {(0, 0), (0, 1), (1, 0), (1, 1)}


@pytest.mark.parametrize("shard_by", [None, "account"])
def test_run_of_shards_is_verified_and_a_divergence_found(tmp_path, shard_by):
    workers = [bookers(3, shard_by), auditor()]
    with JournalBus(tmp_path / "journal") as journal:
        seen, _ = book(journal, workers, entries(300))
        result = Messenger(journal, workers, {}).replay(journal, "verify")
        assert (result.compared, result.unfinished) == (300, 0)
        assert [one.entries for one in result.handlers[Booker]] == [
            [one.number for one in sorted(seen, key=lambda one: one.number) if one.shard == shard] for shard in range(3)
        ]
        with pytest.raises(DivergenceError) as caught:
            Messenger(journal, workers, {"actions": {123: "differs"}}).replay(journal, "verify")
        assert journal.read(caught.value.position).message_id in (1301, 1302)
        assert caught.value.actual.number == 123
