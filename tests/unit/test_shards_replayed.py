"""What a replay makes of the record of a worker in shards, and what a shard that resumes need not send."""

import pytest

from nanobus import (
    DivergenceError,
    Handler,
    Messenger,
    Worker,
    on,
)
from nanobus.bus.codec import find_codec
from nanobus.dispatch.known_sends import KnownSends
from nanobus.schema import Schema
from nanobus.sharding import finder_of_shards
from sharded import (
    OUTSIDE,
    Auditor,
    Booked,
    Booker,
    Payment,
    Trade,
    auditor,
    bookers,
    entries,
    filled,
)


def recorded(shards, shard_by, count=60, leave_out=()):
    """A bus with entries, and behind them the answers of one shard after the other: no single worker sends so."""
    bus, positions = filled(entries(count))
    find = finder_of_shards(bookers(shards, shard_by), bus, Schema())
    codec = find_codec(Booked)
    for shard in reversed(range(shards)):
        for entry, position in zip(entries(count), positions, strict=True):
            if find(position) == shard and entry.number not in leave_out:
                account = entry.account if isinstance(entry, Payment) else entry.account.decode()
                payload = codec.encode_message(Booked(account, entry.number, shard))
                bus.write(Booker, codec.message_id, payload, cause=position)
    return bus, positions


@pytest.mark.parametrize("shard_by", [None, "account"])
@pytest.mark.parametrize("shards", [2, 3])
def test_what_shards_sent_is_verified_shard_by_shard(shards, shard_by):
    bus, _ = recorded(shards, shard_by)
    result = Messenger(bus, [bookers(shards, shard_by), auditor()], {}).replay(bus, "verify")
    assert (result.sends, result.compared, result.unfinished) == (60, 60, 0)
    assert sorted(number for one in result.handlers[Booker] for number in one.entries) == list(range(60))
    with pytest.raises(DivergenceError):
        Messenger(bus, [bookers(1), auditor()], {}).replay(bus, "verify")


@pytest.mark.parametrize("shard_by", [None, "account"])
def test_shard_that_sends_something_else_is_found(shard_by):
    bus, positions = recorded(2, shard_by)
    messenger = Messenger(bus, [bookers(2, shard_by), auditor()], {"actions": {40: "differs", 50: "differs"}})
    with pytest.raises(DivergenceError, match="Booker on ") as caught:
        messenger.replay(bus, "verify")
    assert (caught.value.position, caught.value.handler) == (positions[40], Booker)
    assert caught.value.actual.account == "nobody"


@pytest.mark.parametrize("shard_by", [None, "account"])
def test_answer_that_a_shard_lacks_is_a_difference_only_where_that_shard_went_on(shard_by):
    bus, positions = filled(entries(60))
    find = finder_of_shards(bookers(2, shard_by), bus, Schema())
    behind = [number for number, position in enumerate(positions) if find(position) != find(positions[-1])]
    bus, _ = recorded(2, shard_by, leave_out=[behind[-1]])
    assert Messenger(bus, [bookers(2, shard_by)], {}).replay(bus, "verify").unfinished == 1
    bus, _ = recorded(2, shard_by, leave_out=[behind[0]])
    with pytest.raises(DivergenceError) as caught:
        Messenger(bus, [bookers(2, shard_by)], {}).replay(bus, "verify")
    assert (caught.value.position, caught.value.expected) == (positions[behind[0]], None)


def test_answer_that_nobody_sends_is_a_difference():
    bus, positions = recorded(2, "account")

    class Silent(Handler, id=Booker.source_id):
        @on(Trade)
        @on(Payment)
        def entry(self, entry):
            pass

    routes = {(OUTSIDE, Trade): [Silent], (OUTSIDE, Payment): [Silent]}
    silent = Worker("silent", [Silent], routes, shards=2, shard_by="account")
    with pytest.raises(DivergenceError, match="it sends nothing more") as caught:
        Messenger(bus, [silent]).replay(bus, "verify")
    assert caught.value.position == positions[0]


def test_part_of_the_workers_is_replayed_with_all_their_shards():
    bus, _ = recorded(2, "account")
    messenger = Messenger(bus, [bookers(), auditor()], {})
    result = messenger.replay(bus, "verify", only=["booker"])
    assert result.compared == 60
    assert Auditor not in result.handlers
    assert messenger.replay(bus, "verify", only=[Booker]).compared == 60
    assert messenger.replay(bus, "verify", only=[Auditor]).compared == 0


def test_only_sends_for_messages_of_its_own_are_known_to_a_shard():
    bus, positions = recorded(2, "account")
    find = finder_of_shards(bookers(), bus, Schema())
    of_1 = [position for position in positions if find(position) == 1]
    assert KnownSends(bus, 0, [Booker.source_id]).left == 60
    assert KnownSends(bus, 0, [Booker.source_id], lambda cause: find(cause) == 1).left == len(of_1)
    assert KnownSends(bus, of_1[5], [Booker.source_id], lambda cause: find(cause) == 1).left == len(of_1) - 5
