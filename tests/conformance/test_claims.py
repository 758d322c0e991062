"""A claim always ends: committed, or aborted so that it harms nobody."""

from dataclasses import dataclass
from typing import Annotated

import pytest

from nanobus import Array, EncodeError, MessageError, NanobusError, Record, RecordReleasedError, f64, message, u32
from services import CODEC


@message(id=901)
class Reading(Record):
    channel: u32
    value: f64
    window: Annotated[tuple[float, ...], Array(f64, 4)]


@message(id=902, codec=CODEC)
@dataclass
class Note:
    text: object


def test_record_claimed_in_place_is_sent_when_the_block_ends(bus):
    reader = bus.reader()
    with bus.sender(5).claim(Reading) as reading:
        reading.channel = 3
        reading.window = (1.0, 2.0, 3.0, 4.0)
    envelope = reader.read(0)
    assert (envelope.source, envelope.message_id) == (5, 901)
    assert envelope.decode(Reading) == Reading(channel=3, window=(1.0, 2.0, 3.0, 4.0))
    with pytest.raises(RecordReleasedError):
        reading.channel = 4


def test_claim_that_raises_is_never_seen(bus):
    sender, reader = bus.sender(5), bus.reader()
    with pytest.raises(ZeroDivisionError), sender.claim(Reading) as reading:
        reading.channel = 1 // 0
    sender.send(Note("after"))
    assert reader.read(0).decode(Note) == Note("after")
    assert reader.read(0) is None
    assert bus.read(0) is None
    assert bus.statistics().aborted == 1


def test_reader_does_not_pass_a_claim_that_is_open(bus):
    reader = bus.reader()
    with bus.sender(1).claim(Reading) as reading:
        reading.value = 1.0
        bus.write(2, 1, b"later")
        assert reader.read(0) is None
    assert [reader.read(0).source for _ in range(2)] == [1, 2]


def test_dropped_claim_is_aborted(bus):
    reader = bus.reader()
    claim = bus.sender(1).claim(Reading)
    reading = claim.__enter__()
    del claim
    with pytest.raises(RecordReleasedError):
        reading.value = 1.0
    bus.write(1, 1, b"next")
    assert reader.read(0).payload == b"next"


def test_writer_holds_one_claim_at_a_time(bus):
    sender = bus.sender(1)
    with sender.claim(Reading), pytest.raises(NanobusError, match="one claim at a time"):
        sender.send(Note("x"))


def test_only_records_are_claimed_in_place(bus):
    with pytest.raises(MessageError, match="only a Record can be claimed"), bus.sender(1).claim(Note):
        pytest.fail("entered")
    assert bus.head == 0


def test_message_that_cannot_be_encoded_leaves_no_trace(bus):
    sender = bus.sender(1)
    with pytest.raises(EncodeError, match="cannot encode Note"):
        sender.send(Note(lambda: None))
    assert bus.head == 0
    sender.send(Note("fine"))
    assert bus.reader().read(0).decode(Note) == Note("fine")


def test_object_that_is_no_message_is_refused(bus):
    with pytest.raises(MessageError, match="is not a message"):
        bus.sender(1).send(object())
