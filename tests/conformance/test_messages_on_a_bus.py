"""What is written is what is read: content, order, positions."""

from array import array

import pytest

from nanobus import MessageTooLargeError


def test_message_is_read_back_at_its_position(bus):
    position = bus.write(3, 7, b"payload", cause=None)
    envelope = bus.read(position)
    assert (envelope.position, envelope.source, envelope.message_id) == (position, 3, 7)
    assert (envelope.payload, envelope.cause) == (b"payload", None)


@pytest.mark.parametrize("size", [*range(70), 4095, 4096, 4097])
def test_payload_is_exactly_as_long_as_it_was(bus, size):
    payload = bytes(index % 251 for index in range(size))
    reader = bus.reader("newest")
    bus.write(1, 1, payload)
    assert reader.read(0).payload == payload


def test_positions_start_at_zero_and_grow_by_header_and_padded_payload(bus):
    sizes = [0, 1, 32, 33, 64]
    positions = [bus.write(1, 1, bytes(size)) for size in sizes]
    assert positions == [0, 32, 96, 160, 256]
    assert bus.head == 352


def test_largest_payload_fits_and_one_byte_more_is_refused(bus):
    largest = b"\xab" * bus.max_payload
    with pytest.raises(MessageTooLargeError, match=rf"at most {bus.max_payload} bytes .* got {bus.max_payload + 1}"):
        bus.write(1, 1, largest + b"\xab")
    assert bus.head == 0
    assert bus.read(bus.write(1, 1, largest)).payload == largest


def test_position_inside_a_message_yields_nothing(bus):
    position = bus.write(1, 1, bytes(200))
    assert [bus.read(position + offset) for offset in range(1, 224)] == [None] * 223


def test_position_at_and_past_the_head_yields_nothing(bus):
    bus.write(1, 1, b"x")
    assert bus.read(bus.head) is None
    assert bus.read(bus.head + 32) is None
    assert bus.read(2**64 - 32) is None


def test_payload_cannot_pretend_to_be_a_slot(bus):
    first = bus.write(1, 1, b"real")
    position = bus.write(1, 1, (position_as_stamp := (first + 1).to_bytes(8, "little")) * 64)
    assert all(bus.read(position + offset) is None for offset in range(32, 512, 32))
    assert bus.read(position).payload == position_as_stamp * 64


@pytest.mark.parametrize("payload", [bytearray(b"abcd"), memoryview(b"abcd"), array("B", b"abcd"), b"abcd"])
def test_any_contiguous_buffer_is_a_payload(bus, payload):
    assert bus.read(bus.write(1, 1, payload)).payload == b"abcd"


@pytest.mark.parametrize("payload", ["text", 5, None, [1]])
def test_anything_else_is_no_payload(bus, payload):
    with pytest.raises(TypeError):
        bus.write(1, 1, payload)
    assert bus.head == 0


def test_scattered_buffer_is_refused(bus):
    with pytest.raises(BufferError):
        bus.write(1, 1, memoryview(b"abcdef")[::2])
    assert bus.head == 0


@pytest.mark.parametrize(("source", "message_id"), [(-1, 1), (0xFF00, 1), (1, 0xFF00), (1, 2**70), (-(2**70), 1)])
def test_id_out_of_range_is_refused(bus, source, message_id):
    with pytest.raises(ValueError, match=r"id must be in 0\.\.0xfeff, got"):
        bus.write(source, message_id, b"")


@pytest.mark.parametrize(("source", "message_id"), [("1", 1), (1, 1.0), (None, 1), (1, True)])
def test_id_of_another_type_is_refused(bus, source, message_id):
    with pytest.raises(TypeError, match="id must be an int"):
        bus.write(source, message_id, b"")


def test_cause_is_the_position_it_was_given(bus):
    first = bus.write(1, 1, b"cause")
    bus.write(1, 1, b"between")
    assert bus.read(bus.write(1, 2, b"effect", cause=first)).cause == first


def test_cause_that_is_no_earlier_position_is_none(bus):
    assert bus.read(bus.write(1, 1, b"", cause=10**9)).cause is None
    with pytest.raises(ValueError, match="cause must be a position >= 0"):
        bus.write(1, 1, b"", cause=-1)


@pytest.mark.parametrize("position", [-1, 2**64])
def test_position_out_of_range_is_refused(bus, position):
    with pytest.raises(ValueError, match="position must be an int in"):
        bus.read(position)


def test_statistics_count_what_happened(bus):
    reader = bus.reader()
    bus.write(1, 1, bytes(10))
    bus.write(1, 1, bytes(20))
    reader.read(0)
    statistics = bus.statistics()
    assert (statistics.committed, statistics.committed_bytes, statistics.aborted) == (2, 30, 0)
    assert statistics.head == bus.head == 128
    assert [(one.position, one.lag) for one in statistics.readers] == [(64, 64)]
    assert reader.lag == 64
