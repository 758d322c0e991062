"""A bus that a user wrote in Cython, outside nanobus: it compiles against the installed wheel and is a bus like any."""

import pickle
from pathlib import Path

import pytest

import nanobus
from nanobus import Handler, Messenger, Worker, message, on
from nanobus.bus.base import Bus

CAPACITY = 1 << 16


@message(id=1, codec="pickle")
class Number:
    def __init__(self, value):
        self.value = value


class Doubler(Handler, id=2):
    @on(Number)
    def double(self, number):
        self.send(Number(2 * number.value))


class Collector(Handler, id=3):
    @on(Number)
    def collect(self, number):
        self.config.append(number.value)
        if number.value == 18:
            self.stop()


@pytest.fixture
def bus(build_project):
    own = build_project(Path(__file__).parent / "cimport").append_bus
    with own.AppendBus(CAPACITY) as bus:
        yield bus


def test_own_bus_is_a_bus(bus):
    assert isinstance(bus, Bus)
    assert bus.head == 0


def test_what_is_written_to_an_own_bus_is_read_in_order(bus):
    reader = bus.reader()
    positions = [bus.write(1, number, bytes([number]) * number) for number in range(100)]
    envelopes = [reader.read(0) for _ in positions]
    assert [one.position for one in envelopes] == positions
    assert [one.payload for one in envelopes] == [bytes([number]) * number for number in range(100)]
    assert reader.read(0) is None
    assert reader.read(0.001) is None
    assert reader.lag == 0


def test_an_own_bus_is_read_at_a_position(bus):
    first, second = bus.write(1, 2, b"first"), bus.write(3, 4, bytearray(b"second"))
    assert bus.read(second).payload == b"second"
    assert bus.read(second).source == 3
    assert bus.read(first).message_id == 2
    assert bus.read(first + 1) is None
    assert bus.read(2**64 - 1) is None
    assert bus.reader(start=second).read(0).payload == b"second"
    assert bus.reader(start="newest").read(0) is None
    with pytest.raises(ValueError, match="none starts at"):
        bus.reader(start=first + 32 + 1)


def test_cause_is_kept_by_an_own_bus(bus):
    cause = bus.write(1, 1, b"cause")
    assert bus.read(bus.write(1, 1, b"effect", cause=cause)).cause == cause


def test_sender_encodes_for_an_own_bus(bus):
    with bus.sender(Doubler) as sender:
        position = sender.send(Number(21))
    envelope = bus.read(position)
    assert (envelope.source, envelope.message_id) == (2, 1)
    assert envelope.decode(Number).value == pickle.loads(envelope.payload).value == 21


def test_full_own_bus_tells_the_writer_and_keeps_what_it_has(bus):
    room = CAPACITY // 1056
    for _ in range(room):
        bus.write(1, 1, bytes(1000))
    with pytest.raises(nanobus.BusFullError):
        bus.write(1, 1, bytes(1000))
    reader = bus.reader()
    assert sum(1 for _ in iter(lambda: reader.read(0), None)) == room
    with pytest.raises(nanobus.MessageTooLargeError):
        bus.write(1, 1, bytes(bus.max_payload + 1))


def test_closed_own_bus_ends_its_readers(bus):
    reader = bus.reader()
    bus.write(1, 1, b"")
    bus.close()
    with pytest.raises(nanobus.BusClosedError):
        reader.read()
    with pytest.raises(nanobus.BusClosedError):
        bus.write(1, 1, b"")
    assert list(reader) == []


def test_handles_of_an_own_bus_cannot_be_made(bus):
    for handle in (bus.reader(), bus.writer()):
        with pytest.raises(TypeError, match="cannot be made"):
            type(handle)()


def test_native_loops_run_on_an_own_bus(native, bus):
    count = 500
    assert native.write_and_read(bus.writer(), bus.reader(), count) == count * (count - 1) // 2


def test_aborted_claims_of_an_own_bus_are_skipped(native, bus):
    reader = bus.reader()
    native.write_numbered(bus.writer(), 1, 1, abort_every=1)
    assert reader.read(0) is None


def test_messenger_runs_on_an_own_bus(bus):
    seen = []
    workers = [
        Worker("doubling", [Doubler], routes={(9, Number): [Doubler]}),
        Worker("collecting", [Collector], routes={(Doubler, Number): [Collector]}),
    ]
    with Messenger(bus, workers, config=seen).run() as handles:
        with bus.sender(9) as sender:
            for value in range(10):
                sender.send(Number(value))
        handles.join(timeout=30)
    assert seen == list(range(0, 20, 2))
