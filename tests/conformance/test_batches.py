"""Many messages in one claim: all of them or none, and nobody sees the first before the last is there."""

import struct
import threading
from array import array
from dataclasses import dataclass

import pytest

from nanobus import BusClosedError, EncodeError, MessageError, MessageTooLargeError, Record, f64, message, u32
from services import CODEC


@message(id=911)
class Sample(Record):
    channel: u32
    value: f64


@message(id=912, codec=CODEC)
@dataclass
class Text:
    text: object


ROW = struct.Struct("=I4xd")


def rows(*channels):
    return b"".join(ROW.pack(channel, channel / 2) for channel in channels)


@pytest.mark.parametrize("count", [1, 2, 7, 100])
def test_batch_arrives_in_its_order_as_messages_of_their_own(bus, count):
    sender, reader = bus.sender(7), bus.reader()
    positions = sender.send_batch(Sample, rows(*range(count)))
    bus.write(8, 1, b"behind")
    assert len(positions) == count
    for number, position in enumerate(positions):
        found = reader.read(0)
        assert (found.position, found.source, found.message_id, found.cause) == (position, 7, 911, None)
        assert found.decode(Sample) == Sample(channel=number, value=number / 2)
        assert bus.read(position).payload == found.payload
    assert reader.read(0).payload == b"behind"
    assert reader.read(0) is None


def test_messages_of_a_batch_are_counted_one_by_one(bus):
    sender = bus.sender(7)
    sender.send_batch(Sample, rows(1, 2, 3))
    sender.send(Sample(channel=4))
    found = bus.statistics()
    assert (found.committed, found.committed_bytes) == (4, 4 * ROW.size)


def test_batch_has_one_time(bus):
    reader = bus.reader()
    bus.sender(7).send_batch(Sample, rows(1, 2, 3))
    times = {reader.read(0).timestamp for _ in range(3)}
    assert len(times) == 1


def test_largest_batch_fits_and_one_more_message_is_refused(bus):
    sender, reader = bus.sender(7), bus.reader()
    most = min((bus.max_payload + 32) // 64, 20_000)        # 16 bytes behind a header: 64 in all
    sender.send_batch(Sample, rows(*range(most)))
    assert sum(1 for _ in iter(lambda: reader.read(0), None)) == most
    with pytest.raises(MessageTooLargeError, match=r"of Sample must be at most \d+ messages on this bus, got \d+"):
        sender.send_batch(Sample, bytes(ROW.size * ((bus.max_payload + 32) // 64 + 1)))
    assert reader.read(0) is None
    sender.send(Sample(channel=5))                          # nothing was left claimed
    assert reader.read(0).decode(Sample).channel == 5


@pytest.mark.parametrize(
    ("what", "rows", "error", "text"),
    [
        (Sample, b"", EncodeError, "a batch of Sample must be a multiple of 16 bytes and not empty, got 0"),
        (Sample, bytes(13), EncodeError, "a batch of Sample must be a multiple of 16 bytes and not empty, got 13"),
        (Sample, array("I", [1, 2]), EncodeError, "got 8"),
        (Text, bytes(16), MessageError, "a batch is of Records, whose payloads have one size; Text is encoded with"),
        (int, bytes(16), MessageError, "int"),
        (Sample, memoryview(bytes(48))[::2], BufferError, "contiguous"),
        (Sample, [1, 2], TypeError, "bytes-like"),
    ],
)
def test_what_is_no_batch_is_refused_by_name_and_nothing_is_sent(bus, what, rows, error, text):
    sender, reader = bus.sender(7), bus.reader()
    with pytest.raises(error, match=text):
        sender.send_batch(what, rows)
    assert reader.read(0) is None
    assert bus.statistics().committed == 0


def test_closed_sender_sends_no_batch(bus):
    sender = bus.sender(7)
    sender.close()
    with pytest.raises(BusClosedError):
        sender.send_batch(Sample, rows(1))


def test_reader_sees_whole_batches_only(bus):
    """Where a first message is, the others are."""
    reader, seen = bus.reader(), []

    def read():
        while len(seen) < 3000:
            found = reader.read(30)
            channel = found.decode(Sample).channel
            if channel % 10 == 0:
                rest = [reader.read(0).decode(Sample).channel for _ in range(9)]
                seen.extend([channel, *rest])

    thread = threading.Thread(target=read)
    thread.start()
    sender = bus.sender(7)
    for begin in range(0, 3000, 10):
        sender.send_batch(Sample, rows(*range(begin, begin + 10)))
    thread.join(60)
    assert seen == list(range(3000))
