"""What one thread uses while others close it, drop it, or use it too: refused or safe, and every line given back.

Most of it can only go wrong without a GIL; it is to hold with one as well.
"""

import contextlib
import random
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest

from nanobus import (
    BusClosedError,
    BusFullError,
    CircularBus,
    HandleInUseError,
    Handler,
    HandlerError,
    JournalBus,
    Messenger,
    NanobusError,
    NotRunningError,
    Record,
    Worker,
    message,
    on,
    u64,
)

SOURCE = 700
BUSES = {
    "ring": lambda folder: CircularBus(1 << 14, folder / "ring"),
    "journal": lambda folder: JournalBus(folder / "journal", segment_size=4096),
    "journal, synced": lambda folder: JournalBus(folder / "journal", segment_size=4096, sync="commit"),
}


@message(id=1301)
class Pair(Record):
    number: u64
    inverse: u64


def pair(number):
    return Pair(number, 2**64 - 1 - number)


def is_whole(one):
    """Whether both fields of a record that nobody else may change are of one message."""
    number, inverse = one.number, one.inverse
    return number + inverse == 2**64 - 1


@pytest.fixture
def switching():
    """Threads change places as often as they can, where they have to take turns."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-5)
    yield
    sys.setswitchinterval(before)


@pytest.fixture(params=BUSES)
def pair_of_buses(request, tmp_path):
    """Two bus objects of one file, so that one can be asked what the other has left behind."""
    with BUSES[request.param](tmp_path) as watching, BUSES[request.param](tmp_path) as used:
        yield watching, used


def together(count, work):
    """Run work(index) in `count` threads that start at once; return what they return, or raise what one raises."""
    barrier = threading.Barrier(count)

    def start(index):
        barrier.wait(30)
        return work(index)

    with ThreadPoolExecutor(count) as pool:
        return [one.result(120) for one in [pool.submit(start, index) for index in range(count)]]


def lines_of_others(watching):
    """(writers, readers) that have a line besides the one writer that every open bus has."""
    found = watching.statistics()
    return len(found.writers) - 1, len(found.readers)


def test_a_bus_that_is_closed_while_threads_make_use_and_drop_its_handles_gives_every_line_back(
    pair_of_buses, switching
):
    watching, used = pair_of_buses
    rng = random.Random(1)
    seeds = [rng.random() for _ in range(6)]

    def use(index):
        if index == 0:
            time.sleep(0.05)
            return used.close()
        dice = random.Random(seeds[index - 1])
        with pytest.raises(BusClosedError):
            while True:
                with used.reader("newest", gate=dice.random() < 0.5) as reader, used.writer() as writer:
                    for number in range(20):
                        with contextlib.suppress(BusFullError):     # each may wait for the other's reader
                            writer.write(SOURCE, 1, number.to_bytes(8, "little"), timeout=0.01)
                        reader.read(0)
                    if dice.random() < 0.3:
                        writer.close()
                with contextlib.suppress(BusFullError):
                    used.write(SOURCE, 2, bytes(index), timeout=0.01)
        return None

    together(7, use)
    assert lines_of_others(watching) == (0, 0)
    with watching.reader("newest") as reader:
        position = watching.write(SOURCE, 3, b"after")
        assert (reader.read(0).position, reader.read(0)) == (position, None)


def test_one_writer_closed_and_used_by_many_threads_loses_no_message_that_it_took(pair_of_buses, switching):
    watching, used = pair_of_buses
    for _ in range(30):
        writer = used.writer()
        reader = watching.reader("newest")

        def use(index, writer=writer):
            taken = []
            if index == 0:
                writer.close()
                return taken
            with contextlib.suppress(BusClosedError):
                for number in range(20):
                    with contextlib.suppress(HandleInUseError):
                        taken.append(writer.write(SOURCE, 1, bytes([index, number]), timeout=30))
            return taken

        taken = sorted(position for positions in together(4, use) for position in positions)
        seen = [one.position for one in iter(lambda reader=reader: reader.read(0), None)]
        assert seen == taken
        reader.close()
    assert lines_of_others(watching) == (1, 0)              # the other object's own writer


def test_places_on_a_bus_are_let_go_once(tmp_path, switching):
    with CircularBus(1 << 14, tmp_path / "ring") as bus:
        for _ in range(50):
            place = bus.hold()
            kept = bus.reader("newest")
            together(4, lambda _, place=place: place.let_go())
            with bus.reader("newest") as newer:
                assert len(bus.statistics().readers) == 2
                kept.close()
                newer.close()
            assert lines_of_others(bus) == (0, 0)


class Talker(Handler, id=701):
    """Sends as fast as it can."""

    def on_loop(self):
        for number in range(50):
            self.send(pair(number))


class Hearer(Handler, id=702):
    @on(Pair)
    def pair(self, one):
        assert is_whole(one)
        self.config.append(one.number)


@pytest.mark.parametrize("kind", ["ring", "journal"])
def test_a_bus_that_is_closed_under_running_workers_ends_them_and_gives_every_line_back(kind, tmp_path, switching):
    workers = [
        Worker("talker", [Talker], idle=0.0001),
        Worker("hearer", [Hearer], {(Talker, Pair): [Hearer]}),
    ]
    with BUSES[kind](tmp_path) as watching:
        for round_ in range(8):
            used = BUSES[kind](tmp_path)
            with pytest.raises(HandlerError, match="closed"):
                with Messenger(used, workers, []).run() as handles:
                    time.sleep(0.01 * round_)
                    used.close()
                    handles.join(60)
            assert lines_of_others(watching) == (0, 0)


class Lent(Handler, id=703):
    """Shows its record to other threads, for a while or for ever."""

    def __init__(self, config):
        super().__init__(config)
        self.shown = config["shown"]
        self.dice = random.Random(3)

    @on(Pair)
    def pair(self, one):
        self.shown.append(one)
        if self.dice.random() < 0.9:
            self.shown.pop()
        if one.number == self.config["last"]:
            self.stop()


def test_a_record_that_other_threads_look_at_never_shows_another_message(switching):
    last = 20_000
    config = {"shown": [pair(0)], "last": last}
    bus = CircularBus(4096)
    done = threading.Event()

    def look():
        looks = 0
        dice = random.Random(4)
        with bus.sender(SOURCE + 1) as sender:
            while not done.is_set():
                with contextlib.suppress(IndexError):
                    one = config["shown"][dice.choice((-1, -2))]
                    before = bytes(one)
                    assert is_whole(one)
                    if looks % 16 == 0:
                        with contextlib.suppress(NanobusError):     # full for now
                            sender.send(one, timeout=0.001)
                    assert (bytes(one), memoryview(one).tobytes()) == (before, before)
                looks += 1
        return looks

    def check(reader):
        seen = 0
        with reader, contextlib.suppress(BusClosedError):   # nobody waits for one that fails
            while (one := reader.read()) is not None:
                assert is_whole(one.decode(Pair)), one
                seen += 1
        return seen

    with ThreadPoolExecutor(4) as pool:
        checking = pool.submit(check, bus.reader())         # first: who comes while others write may begin with a Gap
        looking = [pool.submit(look) for _ in range(2)]
        try:
            workers = [Worker("lent", [Lent], {(SOURCE, Pair): [Lent]})]
            with Messenger(bus, workers, config).run() as handles, bus.sender(SOURCE) as sender:
                for number in range(last + 1):
                    sender.send(pair(number))
                handles.join(120)
        finally:
            done.set()
            bus.close()
        assert all(one.result(60) for one in looking)
        assert checking.result(60) > last
    assert all(map(is_whole, config["shown"]))
    assert len(config["shown"]) > last // 20


class Shared(Handler, id=704):
    def __init__(self, config):
        super().__init__(config)
        config.append(self)


def test_a_handler_used_by_other_threads_while_its_worker_comes_and_goes_refuses_each_call(switching):
    bus = CircularBus(1 << 14)
    done = threading.Event()
    config = []

    def use():
        refused = 0
        while not done.is_set():
            for handler in list(config):
                for call in (lambda one: one.send(pair(1)), lambda one: one.now, lambda one: one.random, Handler.stop):
                    with pytest.raises((NotRunningError, HandleInUseError)):
                        call(handler)
                    refused += 1
        return refused

    with ThreadPoolExecutor(3) as pool:
        using = [pool.submit(use) for _ in range(3)]
        for _ in range(40):
            with Messenger(bus, [Worker("shared", [Shared])], config).run():
                pass
            del config[:-3]
        done.set()
        assert all(one.result(60) for one in using)
    assert bus.head == 0


@pytest.mark.parametrize("make", [
    lambda: JournalBus(segment_size=4096),
    lambda: CircularBus(1 << 14, overflow="overwrite"),
])
def test_bus_write_from_many_threads_at_segment_ends_loses_and_doubles_nothing(make, switching):
    threads, count = 6, 3_000
    with make() as bus:
        whole = isinstance(bus, JournalBus)

        def use(index):
            if index >= threads:                            # these open segments without the GIL
                with bus.reader(gate=False) as reader:
                    return list(iter(lambda: reader.read(1), None))
            return [bus.write(SOURCE, index, bytes(100 + index)) for _ in range(count)]

        found = together(threads + 2, use)
        written = sorted(position for positions in found[:threads] for position in positions)
        assert len(set(written)) == threads * count
        for seen in found[threads:] if whole else ():
            assert [one.position for one in seen] == written
            assert all(one.payload == bytes(100 + one.message_id) for one in seen)
