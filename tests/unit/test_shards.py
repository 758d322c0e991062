"""Who handles which message, of the shards of a worker. A replay tells without a process."""

from typing import Annotated

import pytest

from nanobus import (
    CircularBus,
    Handler,
    HandlerError,
    JournalBus,
    Messenger,
    NotRunningError,
    Record,
    ShardKeyError,
    Worker,
    message,
    on,
    u32,
    u64,
    upcast,
)
from nanobus.bus.codec import find_codec
from nanobus.dispatch.division import Division
from nanobus.journaling import schema_of
from nanobus.sharding import finder_of_shards
from sharded import (
    OUTSIDE,
    Booker,
    Numbers,
    Payment,
    Trade,
    Untold,
    bookers,
    entries,
    filled,
    one_of,
)


class Noting(Handler):
    """Notes what arrives in itself."""

    def __init__(self, config):
        super().__init__(config)
        self.noted = []

    def note(self, message):
        self.noted.append(message)


class NotingNumbers(Noting, id=170):
    numbers = on(Numbers)(lambda self, message: self.note(message))


class NotingEntries(Noting, id=175):
    entries = on(Payment, Trade)(lambda self, message: self.note(message))


def noting(shard_by, handler, shards=7):
    routes = {(OUTSIDE, one): [handler] for one in handler.receives}
    return Worker("noting", [handler], routes, shards=shards, shard_by=shard_by)


def noted(worker, sent):
    """What each shard of a worker has received, in a replay."""
    bus, _ = filled(sent)
    return [one.noted for one in Messenger(bus, [worker]).replay(bus).handlers[worker.handlers[0]]]


VALUES = {
    "a": [0, 1, 200, 255],
    "b": [-128, -1, 0, 5, 127],
    "c": [0, 3, 65535],
    "d": [-(2**15), -1, 0, 2**15 - 1],
    "e": [0, 4, 2**32 - 1],
    "f": [-(2**31), -2, 0, 2**31 - 1],
    "g": [0, 6, 2**63, 2**64 - 1],
    "h": [-(2**63), -3, 0, 2**63 - 1],
    "i": [False, True],
    "name": [b"", b"A", b"ACME", b"A\0B", b"ABCDEF"],
}


@pytest.mark.parametrize("field", VALUES)
def test_record_field_is_read_in_its_slot_as_any_other_code_reads_it(field):
    division = Division(7, field)
    records = [Numbers(**{field: value}) for value in VALUES[field]]
    assert noted(noting(field, NotingNumbers), records) == [
        [one for one in records if division.of(one) == shard] for shard in range(7)
    ]


def test_boolean_that_is_neither_0_nor_1_counts_as_true():
    bus, _ = filled([])
    payload = bytearray(Numbers(i=True))
    payload[Numbers.i.offset] = 2
    bus.write(OUTSIDE, find_codec(Numbers).message_id, payload)
    handlers = Messenger(bus, [noting("i", NotingNumbers)]).replay(bus).handlers[NotingNumbers]
    assert [len(one.noted) for one in handlers] == [shard == Division(7, "i").of(Numbers(i=True)) for shard in range(7)]


@message(id=1430)
class Before(Record):
    number: u32
    account: Annotated[bytes, 8]


@message(id=1430)
class Now(Record):
    account: Annotated[bytes, 8]
    number: u64


@upcast(Now, from_fingerprint=find_codec(Before).fingerprint)
def now_of(before):
    return Now(before.account, before.number)


class NotingNow(Noting, id=176):
    now = on(Now)(lambda self, message: self.note(message))


def test_key_of_an_older_layout_is_that_of_its_upcast(tmp_path):
    class Writer(Handler, id=177):
        @on(Before)
        def before(self, before):
            pass

    keys = [f"A{number}".encode() for number in range(30)]
    with JournalBus(tmp_path / "journal") as bus:
        with Messenger(bus, [Worker("writer", [Writer], {(OUTSIDE, Before): [Writer]})]).run():
            sender = bus.sender(OUTSIDE)
            for number, key in enumerate(keys):
                sender.send(Before(number, key))
        table = noting("account", NotingNow, 3)
        handlers = Messenger(bus, [table]).replay(bus, "verify").handlers[NotingNow]
        division = Division(3, "account")
        assert [[one.account for one in handler.noted] for handler in handlers] == [
            [key for key in keys if division.of(Now(key, 0)) == shard] for shard in range(3)
        ]
        find = finder_of_shards(table, bus, schema_of(bus))
        with bus.reader() as reader:
            positions = [one.position for one in iter(lambda: reader.read(0), None)]
        assert [find(position) for position in positions] == [division.of(Now(key, 0)) for key in keys]


@pytest.mark.parametrize("shards", [2, 3])
def test_each_message_is_handled_by_the_shard_of_its_key(shards):
    sent = entries(300)
    got = noted(noting("account", NotingEntries, shards), sent)
    division = Division(shards, "account")
    assert got == [[one for one in sent if division.of(one) == shard] for shard in range(shards)]
    assert all(got)


@pytest.mark.parametrize("shards", [2, 3])
def test_each_message_is_handled_by_the_shard_of_its_position(shards):
    sent = entries(300)
    bus, positions = filled(sent)
    got = Messenger(bus, [bookers(shards, None)], {}).replay(bus).handlers[Booker]
    division = Division(shards)
    assert [one.entries for one in got] == [
        [entry.number for entry, at in zip(sent, positions, strict=True) if division.at(at) == shard]
        for shard in range(shards)
    ]


class Keeping(Handler, id=172):
    """Keeps the accounts of messages that may have none."""

    def __init__(self, config):
        super().__init__(config)
        self.kept = []

    @on(Untold)
    def keep(self, message):
        self.kept.append(message.account)


def keeping(on_error):
    routes = {(OUTSIDE, Untold): [Keeping]}
    return Worker("keeping", [Keeping], routes, shards=3, shard_by="account", on_error=on_error)


@pytest.mark.parametrize("account", [1.5, None])
def test_message_without_a_key_is_told_of_by_one_shard(account):
    bus, positions = filled([Untold("A1"), Untold(account), Untold(b"A1"), Untold(7)])
    errors = []
    result = Messenger(bus, [keeping(lambda error: errors.append(error) is None)]).replay(bus)
    [error] = errors
    assert isinstance(error, HandlerError)
    assert isinstance(error.__cause__, ShardKeyError)
    assert (error.worker, error.position) == (f"keeping/{Division(3).at(positions[1])}", positions[1])
    assert type(error.message) is Untold
    assert (result.failures, result.handled) == (1, 4)
    division = Division(3, "account")
    kept = [one.kept for one in result.handlers[Keeping]]
    assert kept[division.of(Untold("A1"))][:2] == ["A1", b"A1"]
    assert 7 in kept[division.of(Untold(7))]


def test_message_that_cannot_be_decoded_is_told_of_by_one_shard():
    bus, _ = filled([Untold("A1")])
    position = bus.write(OUTSIDE, find_codec(Untold).message_id, b"no pickle")
    with pytest.raises(HandlerError, match="cannot decode 9 bytes") as caught:
        Messenger(bus, [keeping("stop")]).replay(bus)
    assert (caught.value.worker, caught.value.position) == (f"keeping/{Division(3).at(position)}", position)


def test_record_of_a_wrong_size_is_told_of_by_one_shard():
    bus, _ = filled([Trade(b"A1", 1)])
    position = bus.write(OUTSIDE, find_codec(Trade).message_id, b"A1")
    with pytest.raises(HandlerError, match="a payload of Trade must have 16 bytes, got 2") as caught:
        Messenger(bus, [bookers(3)], {}).replay(bus)
    assert (caught.value.worker, caught.value.position) == (f"booker/{Division(3).at(position)}", position)


class Exhausting:
    """A codec that once fails for a reason of the place where it runs."""

    def __init__(self):
        self.left = self.left_of_key = 0
        self.error = None

    def encode(self, message):
        return message.account.encode()

    def decode(self, payload):
        self.left -= 1
        if self.left == 0:
            raise self.error
        return Told(payload.decode())


class Told:
    def __init__(self, account):
        self.name = account

    @property
    def account(self):
        EXHAUSTING.left_of_key -= 1
        if EXHAUSTING.left_of_key == 0:
            raise EXHAUSTING.error
        return self.name


EXHAUSTING = Exhausting()
message(Told, id=1422, codec=EXHAUSTING)


@pytest.mark.parametrize("call", [1, 2, 3])
@pytest.mark.parametrize(
    ("left", "error_type"),
    [
        *(("left", one) for one in (MemoryError, OSError, ModuleNotFoundError)),
        *(("left_of_key", one) for one in (MemoryError, OSError, ModuleNotFoundError, ValueError)),
    ],
)
def test_what_keeps_one_shard_alone_from_a_message_is_told_by_that_shard(call, left, error_type, monkeypatch):
    bus, _ = filled([Told("A1")])
    monkeypatch.setattr(EXHAUSTING, "error", error_type("not in this place"))
    monkeypatch.setattr(EXHAUSTING, left, call)
    with pytest.raises(HandlerError, match=f"worker 'one/{call - 1}' failed .*at position 0: .*not in this place"):
        Messenger(bus, [one_of(Told, "account", shards=3)]).replay(bus)


def test_handler_knows_its_shard():
    class Curious(Handler, id=173):
        def __init__(self, config):
            super().__init__(config)
            self.numbers = [self.shard]

        def on_start(self):
            self.numbers.append(self.shard)

    bus = CircularBus(4096)
    several = Messenger(bus, [Worker("several", [Curious], shards=3)]).replay(bus).handlers[Curious]
    assert [one.numbers for one in several] == [[0, 0], [1, 1], [2, 2]]
    alone = Messenger(bus, [Worker("alone", [Curious])]).replay(bus).handlers[Curious]
    assert alone.numbers == [0, 0]
    with pytest.raises(NotRunningError):
        _ = alone.shard
