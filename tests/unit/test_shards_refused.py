"""Workers in shards that cannot be: all of it is said before anything starts, with the name of the culprit."""

import ctypes
import dataclasses
import re
from typing import ClassVar

import attrs
import numpy as np
import pydantic
import pytest
from google.protobuf import struct_pb2

from nanobus import (
    CircularBus,
    Handler,
    JournalBus,
    Messenger,
    RoutingError,
    Worker,
    message,
    running,
)
from nanobus.running import RunningWorker
from nanobus.sharding import check_shard_cursors, shards_of
from sharded import (
    Auditor,
    Booked,
    Booker,
    Numbers,
    Untold,
    auditor,
    bookers,
    one_of,
)

msgspec = pytest.importorskip("msgspec")


@pytest.mark.parametrize(
    ("options", "error"),
    [
        ({"shards": 0}, "shards must be an int in 1..65535, got 0"),
        ({"shards": True}, "shards must be an int in 1..65535, got True"),
        ({"shards": 2.0}, "shards must be an int in 1..65535, got 2.0"),
        ({"shards": 65536}, "shards must be an int in 1..65535, got 65536"),
        ({"shards": 2, "shard_by": 3}, "shard_by must be the name of a field, or None, got 3"),
        ({"shards": 2, "shard_by": "a.b"}, "shard_by must be the name of a field, or None, got 'a.b'"),
        ({"shards": 2, "process": False}, "shards run in processes of their own, got shards=2 with process=False"),
        *(
            ({"cursor": name}, f"cursor must not end as those of shards do, .0of2 or .0of2.field, got '{name}'")
            for name in ("books.1of2", "books.1of2.account")
        ),
    ],
)
def test_worker_that_cannot_be_is_refused(options, error):
    with pytest.raises(ValueError, match=f"^{re.escape(error)}$"):
        Worker("booker", [Booker], **options)


def test_shards_imply_processes():
    assert bookers(shards=2).process
    assert bookers(shards=2, process="fork").process == "fork"
    assert bookers(shards=2, restart="on-failure").restart == "on-failure"
    assert not bookers(shards=1).process


def test_worker_that_is_called_as_a_shard_is_refused():
    with pytest.raises(RoutingError, match="two workers are named 'booker/1': a shard is named by its worker"):
        Messenger(CircularBus(4096), [bookers(), Worker("booker/1", [Auditor], {(Booker, Booked): [Auditor]})])


def test_shards_on_a_bus_that_no_process_can_have_are_refused():
    with JournalBus(None) as bus, pytest.raises(RoutingError, match="worker 'booker' cannot have a process of its own"):
        Messenger(bus, [bookers()])


@message(id=1411)
@dataclasses.dataclass
class DataClass:
    number: int


@message(id=1412)
class Struct(msgspec.Struct):
    number: int


@message(id=1413)
@attrs.define
class Attrs:
    number: int


@message(id=1414)
class Model(pydantic.BaseModel):
    number: int


@message(id=1415)
class Structure(ctypes.Structure):
    _fields_: ClassVar = [("number", ctypes.c_int)]


@message(id=1416, codec=np.dtype([("number", "i4")]))
class Ticks(np.ndarray):
    pass


@message(id=1417)
class Raw(bytes):
    pass


@message(id=1418, codec="pickle")
@dataclasses.dataclass
class PickledDataClass:
    number: int


message(struct_pb2.Value, id=1419)
TELLING = [DataClass, Struct, Attrs, Model, Structure, Ticks, Raw, PickledDataClass, struct_pb2.Value, Numbers]


@pytest.mark.parametrize("message_type", TELLING, ids=lambda one: one.__qualname__)
def test_message_class_without_the_field_is_refused(message_type):
    with pytest.raises(RoutingError) as caught:
        Messenger(CircularBus(4096), [one_of(message_type, "account")])
    name = message_type.__qualname__
    assert str(caught.value) == f"worker 'one' is sharded by 'account', and its message {name} has no such field"


@pytest.mark.parametrize("message_type", TELLING[:5], ids=lambda one: one.__qualname__)
def test_message_class_with_the_field_is_accepted(message_type):
    Messenger(CircularBus(4096), [one_of(message_type, "number")])
    Messenger(CircularBus(4096), [one_of(struct_pb2.Value, "string_value")])


def test_method_is_no_field():
    with pytest.raises(RoutingError, match="sharded by 'decode', and its message Raw has no such field"):
        Messenger(CircularBus(4096), [one_of(Raw, "decode")])


@message(id=1420)
class WithProperty(bytes):
    @property
    def account(self):
        return self[:2]


def test_property_is_a_field_and_a_class_that_does_not_tell_is_asked_later():
    Messenger(CircularBus(4096), [one_of(WithProperty, "account")])
    Messenger(CircularBus(4096), [one_of(Untold, "account")])


@pytest.mark.parametrize("field", ["levels", "price"])
def test_record_field_that_is_no_key_is_refused(field):
    with pytest.raises(RoutingError) as caught:
        Messenger(CircularBus(4096), [one_of(Numbers, field)])
    assert str(caught.value) == (
        f"worker 'one' is sharded by {field!r}, which must be an integer, a boolean or fixed bytes: "
        f"{getattr(Numbers, field)!r} is none"
    )


def test_class_that_no_route_names_needs_no_field():
    Messenger(CircularBus(4096), [bookers(), auditor()])


@pytest.mark.parametrize(
    ("known", "shards", "shard_by", "divided"),
    [
        ("books", 2, "account", "2 shards by 'account'"),
        ("books.0of2", 1, None, "1 shard"),
        ("books.1of2", 3, None, "3 shards by position"),
        ("books.0of3", 2, None, "2 shards by position"),
        ("books.0of2", 2, "account", "2 shards by 'account'"),
        ("books.1of2.account", 2, None, "2 shards by position"),
        ("books.1of2.account", 2, "number", "2 shards by 'number'"),
        ("books.1of2.account", 1, "account", "1 shard"),
    ],
)
def test_journal_with_cursors_of_another_division_is_refused(tmp_path, known, shards, shard_by, divided):
    with JournalBus(tmp_path / "journal") as bus:
        bus.reader(known).close()
        messenger = Messenger(bus, [bookers(shards, shard_by, cursor="books"), auditor()], {})
        with pytest.raises(RoutingError) as caught:
            messenger.run()
        assert str(caught.value).startswith(
            f"worker 'booker' has {divided}, and the journal cursors of another division, '{known}': "
        )
        assert list(bus.cursors()) == [known]
        assert bus.statistics().readers == ()
        with pytest.raises(RoutingError, match="cursors of another division"):
            messenger.replay(bus, "verify")


def test_cursors_of_other_workers_are_no_matter(tmp_path):
    with JournalBus(tmp_path / "journal") as bus:
        for one in ("books.0of2.account", "notebooks.0of3", "books2", "book.0of3"):
            bus.reader(one).close()
        Messenger(bus, [bookers(cursor="books"), auditor()], {}).replay(bus, "verify")


@pytest.mark.parametrize(
    ("options", "longest"),
    [
        ({"shards": 1, "cursor": "b" * 64}, "b" * 64),
        ({"shards": 11, "shard_by": None, "cursor": "b" * 57}, "b" * 57 + ".10of11"),
        ({"shards": 2, "cursor": "b" * 51}, "b" * 51 + ".1of2.account"),
    ],
)
def test_worker_whose_cursors_no_journal_can_name_is_refused(options, longest):
    with JournalBus() as bus, pytest.raises(RoutingError) as caught:
        Messenger(bus, [bookers(**options), auditor()])
    name = "booker" if options["shards"] == 1 else f"booker/{options['shards'] - 1}"
    assert str(caught.value) == (
        f"worker {name!r}: a cursor's name must have 1 to 63 bytes of UTF-8, none of them zero, got {longest!r}"
    )


class Slow(Handler, id=174):
    pass


@pytest.mark.parametrize("known", [["slow.0of2"], ["slow", "slow.0of2"]])
def test_cursor_of_another_number_that_appears_while_workers_are_made_is_seen(tmp_path, known):
    with JournalBus(tmp_path / "journal") as bus:
        for one in known:
            bus.reader(one).close()
        with pytest.raises(RoutingError, match="'slow.0of2'"):
            RunningWorker(Crewless(), Worker("slow", [Slow], cursor="slow"), bus, None)
        assert bus.statistics().readers == ()
        assert sorted(bus.cursors()) == known                   # without one that was made only to be refused


def test_two_programs_that_make_their_cursors_at_once_leave_none_that_refuses_the_next(tmp_path, monkeypatch):
    with JournalBus(tmp_path / "journal") as bus:
        one = Worker("slow", [Slow], cursor="slow")
        other, _ = shards_of([Worker("slow", [Slow], shards=2, cursor="slow")])

        def check_when_both_have_theirs(workers, cursors):
            monkeypatch.setattr(running, "check_shard_cursors", check_shard_cursors)
            with pytest.raises(RoutingError, match="another division, 'slow'"):
                RunningWorker(Crewless(), other, bus, None)
            check_shard_cursors(workers, cursors | {other.cursor: 0})

        monkeypatch.setattr(running, "check_shard_cursors", check_when_both_have_theirs)
        with pytest.raises(RoutingError, match="another division, 'slow.0of2'"):
            RunningWorker(Crewless(), one, bus, None)
        assert bus.cursors() == {}


class Crewless:
    schema = None
