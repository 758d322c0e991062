"""What the bus does with records: lends them, takes them back, opens them in place. Through a compiled probe."""

from __future__ import annotations

import copy
import ctypes
import gc
import pickle
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Annotated, Any

import pytest

from nanobus.errors import DecodeError, EncodeError, RecordReleasedError
from nanobus.field_types import Array, f64, i64, u8
from nanobus.records import Record

pytestmark = pytest.mark.thread_unsafe(reason="all threads would get one private codec")

NATIVE = Path(__file__).resolve().parents[1] / "native"


class Quote(Record):
    symbol: Annotated[bytes, 8]
    bid: f64
    ask: f64 = 1.5
    levels: Annotated[tuple[int, ...], Array(i64, 2)]


class Padded(Record):
    narrow: u8 = 7
    wide: f64


@pytest.fixture(scope="session")
def record_probe(build_project: Callable[[Path], SimpleNamespace]) -> ModuleType:
    probe: ModuleType = build_project(NATIVE).record_probe
    return probe


@pytest.fixture(params=[True, False], ids=["private", "shared"])
def probe(record_probe: ModuleType, request: pytest.FixtureRequest) -> Any:
    return record_probe.Probe(Quote.__record_codec__(7), request.param)


@pytest.fixture
def private(record_probe: ModuleType) -> Any:
    return record_probe.Probe(Quote.__record_codec__(7), True)


def ignore(quote: Quote) -> None: ...


def payload_of(bid: float) -> bytearray:
    return bytearray(bytes(Quote(b"ACME", bid, levels=(int(bid), 2))))


def test_a_handler_reads_the_bytes_of_the_bus(probe: Any) -> None:
    payload = payload_of(1.0)
    seen = []

    def handler(quote: Quote) -> None:
        seen.append((quote.symbol, quote.bid, quote.ask, quote.levels))
        payload[8:16] = bytes(Quote(bid=2.0))[8:16]
        seen.append(quote.bid)

    probe.deliver(payload, handler)
    assert seen == [(b"ACME", 1.0, 1.5, (1, 2)), 2.0]


def test_a_lent_record_is_read_only(probe: Any) -> None:
    def handler(quote: Quote) -> None:
        for name, value in {"bid": 2.0, "symbol": b"B", "levels": (1, 2)}.items():
            with pytest.raises(AttributeError, match=rf"Quote\.{name}: received records are read-only"):
                setattr(quote, name, value)
        with pytest.raises(TypeError, match="initialised already"):
            quote.__init__()
        assert quote.bid == 1.0

    probe.deliver(payload_of(1.0), handler)


def test_a_kept_record_gets_its_own_bytes_and_never_shows_others(probe: Any) -> None:
    kept: list[Quote] = []
    for bid in range(100):
        probe.deliver(payload_of(bid), kept.append if bid % 3 else ignore)
    assert [quote.bid for quote in kept] == [bid for bid in range(100) if bid % 3]
    assert len({id(quote) for quote in kept}) == len(kept)
    with pytest.raises(AttributeError, match="read-only"):
        kept[0].bid = 5.0
    assert kept[0] == Quote(b"ACME", 1.0, levels=(1, 2))


def test_a_private_codec_lends_one_view_again_and_again(private: Any) -> None:
    seen = set()
    for bid in range(10):
        private.deliver(payload_of(bid), lambda quote: seen.add(id(quote)))
    assert len(seen) == 1


def test_a_kept_view_is_never_lent_again(private: Any) -> None:
    kept: list[Quote] = []
    private.deliver(payload_of(1.0), kept.append)
    private.deliver(payload_of(2.0), lambda quote: kept.append(id(quote)))
    assert id(kept[0]) != kept[1]
    assert kept[0].bid == 1.0


@pytest.mark.parametrize(
    "keep",
    [
        lambda quote: lambda: quote,
        lambda quote: quote.__repr__,
        lambda quote: (value for value in [quote]),
        lambda quote: {"quote": quote},
    ],
    ids=["closure", "bound method", "generator", "dict"],
)
def test_every_way_to_keep_a_record_counts(private: Any, keep: Any) -> None:
    kept: list[Any] = []
    private.deliver(payload_of(1.0), lambda quote: kept.append(keep(quote)))
    private.deliver(payload_of(2.0), ignore)
    held = kept[0]
    found = held() if callable(held) else next(iter(held)) if not isinstance(held, dict) else held["quote"]
    assert "bid=1.0" in (found if isinstance(found, str) else repr(found))


def test_a_record_in_the_traceback_of_a_failed_handler_keeps_its_bytes(probe: Any) -> None:
    def handler(quote: Quote) -> None:
        raise LookupError(quote)

    with pytest.raises(LookupError) as caught:
        probe.deliver(payload_of(1.0), handler)
    probe.deliver(payload_of(2.0), ignore)
    assert caught.value.args[0].bid == 1.0


def test_a_handler_within_a_handler_gets_a_view_of_its_own(probe: Any) -> None:
    seen = []

    def inner(quote: Quote) -> None:
        seen.append(quote.bid)

    def outer(quote: Quote) -> None:
        probe.deliver(payload_of(2.0), inner)
        probe.deliver(payload_of(3.0), seen.append)
        seen.append(quote.bid)

    probe.deliver(payload_of(1.0), outer)
    assert (seen[0], seen[1].bid, seen[2]) == (2.0, 3.0, 1.0)


def test_what_a_shared_codec_settles_owns_its_bytes(record_probe: ModuleType) -> None:
    shared = record_probe.Probe(Quote.__record_codec__(7), False)
    payload = payload_of(1.0)
    quote = shared.receive(payload)
    payload[:] = bytes(len(payload))
    assert quote.bid == 1.0


def test_exporting_a_buffer_detaches_first(probe: Any) -> None:
    views: list[memoryview] = []
    payload = payload_of(1.0)

    def handler(quote: Quote) -> None:
        views.append(memoryview(quote))
        payload[8:16] = bytes(8)
        assert quote.bid == 1.0

    probe.deliver(payload, handler)
    probe.deliver(payload_of(2.0), ignore)
    assert views[0].readonly
    assert views[0].tobytes() == bytes(payload_of(1.0))


def test_a_view_whose_buffer_is_gone_is_lent_again(private: Any) -> None:
    seen = []
    for bid in range(5):
        private.deliver(payload_of(bid), lambda quote: seen.append((id(quote), bytes(memoryview(quote)))))
    assert len({identity for identity, _ in seen}) == 1
    assert [exported for _, exported in seen] == [bytes(payload_of(bid)) for bid in range(5)]


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda record: pickle.loads(pickle.dumps(record))])
def test_a_lent_record_can_be_copied_to_a_mutable_one(probe: Any, copied: Any) -> None:
    copies: list[Quote] = []
    probe.deliver(payload_of(1.0), lambda quote: copies.append(copied(quote)))
    copies[0].bid += 1.0
    assert copies[0].bid == 2.0


def test_a_lent_record_compares_by_bytes(probe: Any) -> None:
    results: list[bool] = []
    probe.deliver(payload_of(1.0), lambda quote: results.append(quote == Quote(b"ACME", 1.0, levels=(1, 2))))
    assert results == [True]


def test_a_view_whose_class_was_assigned_to_is_not_lent_again(private: Any) -> None:
    def handler(quote: Any) -> None:
        quote.__class__ = Padded
        with pytest.raises(TypeError):
            _ = quote.wide

    private.deliver(payload_of(1.0), handler)
    seen: list[type] = []
    private.deliver(payload_of(2.0), lambda quote: seen.append(type(quote)))
    assert seen == [Quote]


def test_a_payload_of_another_size_is_refused_and_lends_nothing(probe: Any) -> None:
    for size in (0, 39, 41):
        with pytest.raises(DecodeError, match=f"payload of Quote must have 40 bytes, got {size}"):
            probe.deliver(bytearray(size), print)
    seen: list[float] = []
    probe.deliver(payload_of(3.0), lambda quote: seen.append(quote.bid))
    assert seen == [3.0]


def test_lending_loses_and_keeps_no_references(probe: Any) -> None:
    probe.deliver(payload_of(1.0), ignore)
    gc.collect()
    before = sys.getrefcount(Quote), sys.getrefcount(ignore)
    for _ in range(200):
        kept: list[Quote] = []
        probe.deliver(payload_of(1.0), kept.append)
        probe.deliver(payload_of(1.0), ignore)
    del kept
    gc.collect()
    assert (sys.getrefcount(Quote), sys.getrefcount(ignore)) == before


def test_a_thread_that_reads_a_kept_view_never_sees_other_bytes(private: Any) -> None:
    shown: list[Any] = [None]
    wrong: list[Any] = []
    stop = threading.Event()

    def read() -> None:
        while not stop.is_set():
            pair = shown[0]
            if pair is not None and (pair[0].bid, pair[0].levels[0]) != (pair[1], pair[1]):
                wrong.append(repr(pair))

    reader = threading.Thread(target=read)
    reader.start()
    try:
        for bid in range(3000):
            private.deliver(payload_of(bid), lambda quote, bid=bid: shown.__setitem__(0, (quote, bid)))
    finally:
        stop.set()
        reader.join(30)
    assert not reader.is_alive()
    assert wrong == []


# ---- encoding ----


def test_encoding_points_at_the_bytes_of_the_record(probe: Any) -> None:
    quote = Quote(b"ACME", 1.0)
    first, address = probe.encoded(quote)
    quote.bid = 2.0
    second, same_address = probe.encoded(quote)
    assert address == same_address
    assert (first, second) == (bytes(Quote(b"ACME", 1.0)), bytes(Quote(b"ACME", 2.0)))


def test_a_received_record_can_be_sent_on(probe: Any) -> None:
    sent: list[bytes] = []
    probe.deliver(payload_of(1.0), lambda quote: sent.append(probe.encoded(quote)[0]))
    assert sent == [bytes(payload_of(1.0))]


def test_a_lent_view_is_encoded_as_a_copy_since_its_loan_may_end_first(private: Any) -> None:
    payload = payload_of(1.0)
    quote = private.lend(payload)
    encoded, address = private.encoded(quote)
    assert encoded == bytes(payload)
    assert address != ctypes.addressof(ctypes.c_char.from_buffer(payload))
    private.settle(quote)


# ---- in place ----


def test_a_claimed_record_writes_in_place_over_its_defaults(probe: Any) -> None:
    payload = bytearray(40)
    quote = probe.open(payload)
    assert quote.ask == 1.5
    quote.symbol = b"ACME"
    quote.bid = 4.0
    quote.levels = (4, 2)
    assert payload == payload_of(4.0)
    assert quote == Quote(b"ACME", 4.0, levels=(4, 2))
    assert repr(quote).startswith("Quote(symbol=b'ACME', bid=4.0")
    assert probe.encoded(quote)[0] == bytes(payload)
    probe.close(quote)


def test_a_value_that_does_not_fit_changes_nothing_in_place(probe: Any) -> None:
    payload = bytearray(40)
    quote = probe.open(payload)
    before = bytes(payload)
    for name, wrong in {"bid": "x", "symbol": b"123456789", "levels": (1, 2**63)}.items():
        with pytest.raises((TypeError, ValueError), match=f"Quote.{name} must"):
            setattr(quote, name, wrong)
    assert payload == before
    probe.close(quote)


def test_a_record_claimed_in_place_has_zero_padding(record_probe: ModuleType) -> None:
    probe = record_probe.Probe(Padded.__record_codec__(1))
    payload = bytearray(16)
    probe.close(probe.open(payload))
    assert payload == bytes(Padded())


def test_a_claimed_record_exports_no_buffer(probe: Any) -> None:
    payload = bytearray(40)
    quote = probe.open(payload)
    with pytest.raises(BufferError, match="Quote is claimed in place: assign to its fields"):
        memoryview(quote)
    assert copy.copy(quote).ask == 1.5
    probe.close(quote)


def test_a_released_record_refuses_every_access(probe: Any) -> None:
    payload = bytearray(40)
    quote = probe.open(payload)
    probe.close(quote)
    probe.close(quote)
    before = bytes(payload)
    uses: list[Any] = [
        lambda: quote.bid,
        lambda: quote.symbol,
        lambda: quote.levels,
        lambda: setattr(quote, "bid", 1.0),
        lambda: setattr(quote, "levels", (1, 2)),
        lambda: bytes(quote),
        lambda: memoryview(quote),
        lambda: copy.copy(quote),
        lambda: pickle.dumps(quote),
        lambda: quote == Quote(),
        lambda: Quote() == quote,
    ]
    for use in uses:
        with pytest.raises(RecordReleasedError, match="Quote was claimed in place and its claim has ended"):
            use()
    with pytest.raises(EncodeError, match="Quote cannot be sent: Quote was claimed in place"):
        probe.encoded(quote)
    with pytest.raises(TypeError, match="initialised already"):
        quote.__init__()
    assert payload == before
    assert repr(quote) == "<Quote without bytes>"


def test_a_value_that_ends_the_claim_while_it_is_converted_writes_nothing(probe: Any) -> None:
    payload = bytearray(40)
    quote = probe.open(payload)
    before = bytes(payload)

    class Ending:
        def __float__(self) -> float:
            probe.close(quote)
            return 5.0

        __index__ = None

    with pytest.raises(RecordReleasedError):
        quote.bid = Ending()
    assert payload == before
