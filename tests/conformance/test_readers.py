"""Readers: where they start, what order they see, how they wait and end."""

import contextlib
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import pytest

from nanobus import BusClosedError, BusFullError, HandleInUseError, Record, f64, message
from programs import wait_until
from services import CODEC


@message(id=904)
class Point(Record):
    x: f64


@message(id=903, codec=CODEC)
@dataclass
class Tick:
    number: int


def payloads(reader):
    return [envelope.payload for envelope in iter(lambda: reader.read(0), None)]


def test_reader_from_the_oldest_sees_everything_in_order(bus):
    written = [b"%d" % number for number in range(500)]
    for payload in written:
        bus.write(1, 1, payload)
    assert payloads(bus.reader()) == written


def test_reader_from_the_newest_sees_only_what_comes(bus):
    bus.write(1, 1, b"before")
    reader = bus.reader("newest")
    assert reader.read(0) is None
    bus.write(1, 1, b"after")
    assert payloads(reader) == [b"after"]


def test_reader_from_a_position_starts_with_that_message(bus):
    positions = [bus.write(1, 1, b"%d" % number) for number in range(10)]
    assert payloads(bus.reader(positions[7])) == [b"7", b"8", b"9"]
    assert payloads(bus.reader(bus.head)) == []


def test_start_that_is_no_position_of_a_message_is_refused(bus):
    bus.write(1, 1, bytes(100))
    for start in (32, 64, 1):
        with pytest.raises(ValueError, match=rf"none starts at {start}"):
            bus.reader(start)
    for start in (-32, bus.head + 32):
        with pytest.raises(ValueError, match=r"start must be a position in 0\.\."):
            bus.reader(start)
    if not bus.keeps_cursors:
        with pytest.raises(ValueError, match='start must be "oldest"'):
            bus.reader("first")
    with pytest.raises(TypeError, match="start must be"):
        bus.reader(1.5)


def test_all_readers_see_the_same_order(bus, native):
    readers = [bus.reader(gate=gate) for gate in (True, True, False)]
    writers = [bus.writer() for _ in range(4)]
    with ThreadPoolExecutor(7) as pool:
        written = [pool.submit(native.write_numbered, writer, source, 1000) for source, writer in enumerate(writers)]
        read = [pool.submit(native.read_numbered, reader, 4000) for reader in readers]
        assert [one.result(60) for one in written] == [1000] * 4
        outcomes = {one.result(60) for one in read}
    assert len(outcomes) == 1
    (seen, lost, _, disorder) = outcomes.pop()
    assert (seen, lost, disorder) == (4000, 0, 0)


def test_poll_of_an_empty_bus_returns_none(bus):
    assert bus.reader().read(0) is None
    assert bus.reader().read(0.01) is None


@pytest.mark.parametrize("timeout", [-1, float("nan")])
def test_timeout_that_is_no_duration_is_refused(bus, timeout):
    with pytest.raises(ValueError, match="timeout must be None or >= 0 seconds"):
        bus.reader().read(timeout)


def test_blocked_reader_wakes_on_a_write(bus):
    reader = bus.reader()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(reader.read)
        time.sleep(0.05)
        bus.write(1, 1, b"news")
        assert waiting.result(20).payload == b"news"


@pytest.mark.parametrize("close", ["reader", "bus"])
def test_blocked_reader_wakes_when_it_or_its_bus_is_closed(bus, close):
    reader = bus.reader()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(reader.read)
        time.sleep(0.05)
        {"reader": reader, "bus": bus}[close].close()
        with pytest.raises(BusClosedError):
            waiting.result(20)


def test_iteration_ends_when_the_reader_is_closed(bus):
    reader = bus.reader()
    for number in range(3):
        bus.write(1, 1, b"%d" % number)
    collected = []
    with ThreadPoolExecutor(1) as pool:
        collecting = pool.submit(lambda: collected.extend(envelope.payload for envelope in reader))
        wait_until(lambda: reader.lag == 0)
        reader.close()
        collecting.result(20)
    assert collected == [b"0", b"1", b"2"]


def test_reader_that_a_thread_waits_in_refuses_another(bus):
    reader = bus.reader()
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(reader.read)
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            try:
                reader.read(0)
            except HandleInUseError:
                break
        else:
            pytest.fail("both threads were let in")
        bus.write(1, 1, b"x")
        assert waiting.result(20).payload == b"x"


def test_closed_reader_refuses_and_lets_writers_pass(bus):
    reader = bus.reader()
    reader.close()
    reader.close()
    with pytest.raises(BusClosedError):
        reader.read(0)
    for _ in range(3 * 2**20 // 4096):
        bus.write(1, 1, bytes(4000))


def test_closed_bus_refuses_everything_by_name(bus):
    reader, writer, sender = bus.reader(), bus.writer(), bus.sender(1)
    bus.close()
    bus.close()
    uses = [
        lambda: bus.write(1, 1, b""), lambda: bus.read(0), bus.reader, bus.writer, lambda: bus.sender(1),
        lambda: bus.head, bus.statistics, lambda: reader.read(0), lambda: writer.write(1, 1, b""),
        lambda: sender.send(Tick(1)),
    ]
    for use in uses:
        with pytest.raises(BusClosedError):
            use()


def test_handles_come_from_a_bus_and_from_nowhere_else(bus):
    for handle in (bus.reader(), bus.writer()):
        with pytest.raises(TypeError, match="cannot be made"):
            type(handle)()
        with pytest.raises(TypeError, match="cannot be made"):
            type(handle).__new__(type(handle))


def test_dropped_handles_give_their_lines_back(bus):
    for _ in range(300):
        bus.reader().read(0)
        bus.writer().write(1, 1, b"x")


def test_threads_share_bus_write_without_losing_a_message(bus):
    barrier = threading.Barrier(4)

    def write(source):
        barrier.wait(20)
        for number in range(500):
            bus.write(source, 1, number.to_bytes(4, "little"))

    reader = bus.reader()
    with ThreadPoolExecutor(4) as pool:
        for done in [pool.submit(write, source) for source in range(4)]:
            done.result(60)
    seen = [(one.source, int.from_bytes(one.payload, "little")) for one in iter(lambda: reader.read(0), None)]
    assert sorted(seen) == [(source, number) for source in range(4) for number in range(500)]
    for source in range(4):
        assert [number for one, number in seen if one == source] == list(range(500))


def test_writer_that_is_closed_while_it_waits_says_so_even_if_room_came(bus):
    reader, writer = bus.reader(), bus.writer()

    def fill():
        try:
            while True:
                writer.write(1, 1, bytes(4000), timeout=20)
        except (BusClosedError, BusFullError) as error:
            return type(error)

    with ThreadPoolExecutor(1) as pool:
        filling = pool.submit(fill)
        time.sleep(0.02)
        for _ in range(10):
            reader.read(0)
        bus.close()
        assert filling.result(60) in (BusClosedError, BusFullError)


def test_aborted_claims_do_not_stretch_a_timeout(bus):
    sender, reader = bus.sender(1), bus.reader()
    done = threading.Event()

    def abort():
        while not done.wait(0.01):
            with contextlib.suppress(KeyError), sender.claim(Point):
                raise KeyError

    with ThreadPoolExecutor(2) as pool:
        aborting = pool.submit(abort)
        try:
            assert pool.submit(reader.read, 0.2).result(30) is None
        finally:
            done.set()
        aborting.result(20)
