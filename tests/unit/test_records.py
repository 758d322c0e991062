"""Record as its user sees it: declaring, constructing, comparing, copying, pickling."""

from __future__ import annotations

import array
import contextlib
import copy
import gc
import io
import pickle
import sys
import tracemalloc
from typing import Annotated, Any

import pytest

from nanobus.bus.codec import Codec
from nanobus.errors import DecodeError, EncodeError, MessageError, RecordReleasedError
from nanobus.field_types import Array, i16, i64, u8, u16
from nanobus.records import Record, RecordCodec, restore_record
from sample_records import Other, Quote, SizedQuote, Tick, record_class

# ---- constructing ----


def test_fields_are_given_by_position_or_name_and_default_to_their_default_or_zero() -> None:
    quote = Quote(b"ACME", bid=1.0)
    assert (quote.symbol, quote.bid, quote.ask, quote.levels) == (b"ACME", 1.0, 1.5, (0.0,) * 5)
    assert Quote() == Quote(b"", 0.0, 1.5, (0, 0, 0, 0, 0))


def test_a_class_variable_is_no_field() -> None:
    assert Quote.limit == 10
    assert "limit" not in [name for name, *_ in Quote.__layout__]


def test_methods_and_properties_work_on_records() -> None:
    assert Quote(bid=1.0, ask=3.0).spread == 2.0


@pytest.mark.parametrize(
    ("arguments", "named", "text"),
    [
        ((1, 2, 3), {}, "Tick has 2 fields, got more values"),
        ((), {"prise": 1}, "Tick has no field 'prise'; it has price, lots"),
        ((1,), {"price": 1}, "Tick.price is given twice"),
    ],
)
def test_wrong_arguments_are_refused_by_name(arguments: tuple[int, ...], named: dict[str, int], text: str) -> None:
    with pytest.raises(TypeError, match=text):
        Tick(*arguments, **named)
    with pytest.raises(TypeError, match=text):  # the way that does not take the short cut
        Tick.__new__(Tick).__init__(*arguments, **named)


def test_a_subclass_may_have_an_init_of_its_own() -> None:
    class Doubled(Tick):
        def __init__(self, price: int) -> None:
            super().__init__(price * 2, lots=1)

    assert (Doubled(4).price, Doubled(price=5).price, Doubled(4).lots) == (8, 10, 1)


def test_an_init_that_is_assigned_later_is_called() -> None:
    class Late(Tick):
        pass

    def initialise(record: Late, price: int) -> None:
        Tick.__init__(record, price + 1)

    assert Late(1).price == 1
    Late.__init__ = initialise
    assert Late(1).price == 2
    assert Late(price=1).price == 2


def test_a_subclass_may_have_a_new_of_its_own() -> None:
    made = []

    class Counted(Tick):
        def __new__(cls, *_args: Any, **_kwargs: Any) -> Counted:
            made.append(cls)
            return super().__new__(cls)

    assert Counted(7).price == 7
    assert made == [Counted]


def test_a_record_is_initialised_once() -> None:
    tick = Tick(1)
    with pytest.raises(TypeError, match="Tick is initialised already"):
        tick.__init__(2)
    assert tick.price == 1


def test_a_record_without_init_has_no_bytes_to_read() -> None:
    blank = Tick.__new__(Tick)
    for use in (lambda: blank.price, lambda: bytes(blank), lambda: memoryview(blank), lambda: copy.copy(blank)):
        with pytest.raises(RecordReleasedError, match="Tick has no bytes"):
            use()
    with pytest.raises(RecordReleasedError):
        blank.price = 1
    assert repr(blank) == "<Tick without bytes>"


def test_record_itself_cannot_be_made() -> None:
    with pytest.raises(MessageError, match="has no fields"):
        Record()
    with pytest.raises(MessageError, match="has no fields"):
        Record.__record_codec__(1)


# ---- fields ----


def test_a_field_of_one_class_refuses_the_records_of_another() -> None:
    read: Any = Other.__dict__["more"]
    for stranger in (Tick(1), Quote(), Other.__new__(Other), 5, None, object()):
        if stranger is None:
            continue
        with pytest.raises((TypeError, RecordReleasedError)):
            read.__get__(stranger)
        with pytest.raises((TypeError, RecordReleasedError)):
            read.__set__(stranger, (0,) * 100)
    with pytest.raises(TypeError, match=r"Other\.more is no field of Tick"):
        read.__get__(Tick(1))
    with pytest.raises(TypeError, match=r"SizedQuote\.lots is no field of Quote"):
        SizedQuote.__dict__["lots"].__get__(Quote())
    assert Quote.__dict__["bid"].__get__(SizedQuote(bid=2.0)) == 2.0


def test_a_record_whose_class_was_assigned_to_is_read_by_its_layout() -> None:
    tick: Any = Tick(1, 2)
    tick.__class__ = Other
    with pytest.raises(TypeError, match=r"Other\.more is no field of Other"):
        _ = tick.more
    with pytest.raises(TypeError):
        tick.price = 5
    assert tick != Other(1, 2)
    assert len(bytes(tick)) == 16
    assert Tick.price.__get__(copy.copy(tick)) == 1
    assert repr(tick) == "Other(price=1, lots=2)"


def test_a_field_cannot_be_made_or_restored_by_hand() -> None:
    field_type = type(Tick.__dict__["price"])
    blank = field_type()
    with pytest.raises(TypeError):
        blank.__get__(Tick(1))
    with pytest.raises(RecordReleasedError):
        blank.__get__(Tick.__new__(Tick))
    for shared in (Tick.__dict__["price"], Tick.__record_codec__(1)):
        with pytest.raises((TypeError, AttributeError, pickle.PicklingError)):
            pickle.loads(pickle.dumps(shared))


def test_a_field_tells_where_it_lies() -> None:
    field: Any = Quote.ask
    assert (field.name, field.format, field.offset, field.size) == ("ask", "<d", 16, 8)
    assert repr(field) == "<field Quote.ask: f64 at 16>"


def test_a_field_cannot_be_deleted() -> None:
    tick = Tick(1)
    with pytest.raises(AttributeError, match=r"Tick\.price cannot be deleted"):
        del tick.price
    assert tick.price == 1


def test_layout_lists_names_formats_offsets_and_sizes() -> None:
    assert Quote.__layout__ == (
        ("symbol", "8s", 0, 8),
        ("bid", "<d", 8, 8),
        ("ask", "<d", 16, 8),
        ("levels", "(5)<d", 24, 40),
    )


# ---- comparing, showing, copying ----


def test_records_are_equal_when_class_and_bytes_are() -> None:
    assert Tick(1, 2) == Tick(1, 2)
    assert Tick(1, 2) != Tick(1, 3)
    assert Tick(1, 2) != (1, 2)
    nan = float("nan")
    assert Quote(bid=nan) == Quote(bid=nan)
    assert Quote(bid=0.0) != Quote(bid=-0.0)


def test_records_have_no_hash() -> None:
    with pytest.raises(TypeError, match="unhashable"):
        hash(Tick(1))


def test_repr_shows_all_fields() -> None:
    assert repr(Quote(b"ACME", 1.0, levels=range(5))) == (
        "Quote(symbol=b'ACME', bid=1.0, ask=1.5, levels=(0.0, 1.0, 2.0, 3.0, 4.0))"
    )


def test_records_match_by_position() -> None:
    match Tick(4, 5):
        case Tick(price, lots=5):
            assert price == 4
        case _:
            pytest.fail("no match")


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy, lambda record: pickle.loads(pickle.dumps(record))])
def test_a_copy_is_mutable_and_apart(copied: Any) -> None:
    quote = Quote(b"ACME", 1.0)
    twin = copied(quote)
    assert twin == quote
    assert type(twin) is Quote
    twin.bid = 2.0
    assert (quote.bid, twin.bid) == (1.0, 2.0)


def test_bytes_are_the_struct_with_zero_padding() -> None:
    assert bytes(Tick(-2, 3)) == b"\xfe" + b"\xff" * 7 + b"\x03\x00" + bytes(6)


@pytest.mark.parametrize("protocol", range(pickle.HIGHEST_PROTOCOL + 1))
def test_every_pickle_protocol_works(protocol: int) -> None:
    quote = Quote(b"ACME", 1.0)
    assert pickle.loads(pickle.dumps(quote, protocol)) == quote


@pytest.mark.parametrize(
    ("record_type", "payload", "fingerprint", "text"),
    [
        (int, bytes(16), "", "must be of a Record class, got <class 'int'>"),
        (Record, bytes(16), "", "must be of a Record class"),
        (5, bytes(16), "", "must be of a Record class, got 5"),
        (Tick, bytes(16), "0" * 16, "the layout of Tick is [0-9a-f]{16}, the pickled one is '0000"),
        (Tick, bytes(15), Tick.__record_codec__(1).fingerprint, "payload of Tick must have 16 bytes, got 15"),
        (Tick, bytes(17), Tick.__record_codec__(1).fingerprint, "payload of Tick must have 16 bytes, got 17"),
        (Tick, bytearray(16), Tick.__record_codec__(1).fingerprint, "pickled Tick must be bytes, got bytearray"),
    ],
)
def test_malformed_pickles_are_refused(record_type: Any, payload: Any, fingerprint: str, text: str) -> None:
    with pytest.raises(DecodeError, match=text):
        restore_record(record_type, payload, fingerprint)


# ---- buffers ----


def test_a_record_exports_its_own_bytes_and_stays_alive() -> None:
    tick = Tick(1, 2)
    view = memoryview(tick)
    assert (view.nbytes, view.ndim, view.readonly, view.format) == (16, 0, False, "T{<q:price:<h:lots:6x}")
    tick.price = 5
    assert view.tobytes() == bytes(tick)
    del tick
    assert view.tobytes() == bytes(Tick(5, 2))


def test_a_writable_buffer_writes_the_record() -> None:
    tick = Tick(1, 2)
    array_of_bytes = bytearray(16)
    array_of_bytes[0] = 9
    with memoryview(tick) as whole:
        assert whole.obj is tick
    assert io.BytesIO(bytes(array_of_bytes)).readinto(tick) == 16
    assert (tick.price, tick.lots) == (9, 0)


def test_the_buffer_of_a_decoded_record_is_read_only() -> None:
    tick = Tick.__record_codec__(1).decode_payload(bytes(Tick(1, 2)))
    assert memoryview(tick).readonly
    with pytest.raises((BufferError, TypeError)):
        io.BytesIO(bytes(16)).readinto(tick)
    assert tick.price == 1


# ---- the codec, as Python sees it ----


def test_the_codec_encodes_and_decodes_the_bytes() -> None:
    codec = Quote.__record_codec__(7)
    assert isinstance(codec, Codec)
    assert (codec.message_type, codec.message_id, codec.name) == (Quote, 7, "record")
    quote = Quote(b"ACME", 1.0)
    assert codec.encode_message(quote) == bytes(quote)
    assert codec.decode_payload(bytes(quote)) == quote


def test_a_decoded_record_is_read_only_and_owns_its_bytes() -> None:
    tick = Tick.__record_codec__(1).decode_payload(bytes(Tick(1, 2)))
    gc.collect()
    with pytest.raises(AttributeError, match=r"Tick\.price: received records are read-only, copy\.copy\(record\)"):
        tick.price = 5
    assert tick.price == 1
    mutable = copy.copy(tick)
    mutable.price = 5
    assert mutable.price == 5


@pytest.mark.parametrize("size", [0, 15, 17])
def test_a_payload_of_another_size_is_refused(size: int) -> None:
    with pytest.raises(DecodeError, match=f"payload of Tick must have 16 bytes, got {size}"):
        Tick.__record_codec__(1).decode_payload(bytes(size))


def test_the_codec_encodes_its_very_class_only() -> None:
    codec = Quote.__record_codec__(1)
    disguised: Any = Tick(1)
    disguised.__class__ = Quote
    for message in (SizedQuote(), Tick(1), b"bytes", None, Quote.__new__(Quote), disguised):
        with pytest.raises(EncodeError):
            codec.encode_message(message)


def test_a_codec_is_of_a_record_class_and_a_valid_id() -> None:
    for wrong in (int, Record, 5, None):
        with pytest.raises(MessageError):
            RecordCodec(wrong, 1)
    for wrong_id in (-1, 0xFF00):
        with pytest.raises(ValueError, match="message id must be in"):
            RecordCodec(Tick, wrong_id)
    with pytest.raises(TypeError):
        RecordCodec.__new__(RecordCodec)


def test_a_codec_is_not_initialised_again_and_still_decodes_its_own_class() -> None:
    codec: Any = Tick.__record_codec__(1)
    with pytest.raises(TypeError, match="initialised already: a codec never changes"):
        Codec.__init__(codec, int, 2, "other", "")
    assert (codec.message_type, codec.message_id, codec.name) == (Tick, 1, "record")
    assert type(codec.decode_payload(bytes(16))) is Tick


def test_the_fingerprint_follows_the_layout_not_the_class() -> None:
    def fingerprint(**annotations: Any) -> str:
        return record_class(**annotations).__record_codec__(1).fingerprint

    first = fingerprint(price=i64, lots=i16)
    assert first == Tick.__record_codec__(9).fingerprint
    assert len(first) == 16
    others = [
        fingerprint(price=i64, lot=i16),
        fingerprint(price=i64, lots=u16),
        fingerprint(lots=i16, price=i64),
        fingerprint(price=i64, lots=i16, more=u8),
        fingerprint(price=i64, lots=Annotated[tuple[int, ...], Array(i16, 1)]),
    ]
    assert len({first, *others}) == 6


# ---- references and memory ----


def test_records_are_not_tracked_by_the_garbage_collector() -> None:
    codec = Tick.__record_codec__(1)
    for record in (Tick(1), copy.copy(Tick(1)), codec.decode_payload(bytes(16)), Tick.__new__(Tick)):
        assert not gc.is_tracked(record)


@pytest.mark.thread_unsafe(reason="counts references that other threads have, too")
def test_no_references_are_lost_or_kept() -> None:
    quote = Quote(b"ACME", 1.0)
    field: Any = Quote.__dict__["levels"]
    value = array.array("d", range(5))

    def use() -> None:
        for _ in range(100):
            quote.levels = value
            _ = quote.levels, quote.symbol, quote.bid, Quote.levels, Quote(b"A", bid=2.0)
            memoryview(quote).release()
            with contextlib.suppress(ValueError):
                quote.levels = (1.0,)

    use()
    before = [sys.getrefcount(item) for item in (quote, field, value, Quote)]
    use()
    assert [sys.getrefcount(item) for item in (quote, field, value, Quote)] == before


def test_memory_does_not_grow() -> None:
    codec = Quote.__record_codec__(1)

    def use() -> None:
        quote = Quote(b"ACME", bid=1.0, levels=[1, 2, 3, 4, 5])
        restore, arguments = copy.copy(quote).__reduce__()
        twin = restore(*arguments)
        assert codec.decode_payload(codec.encode_message(twin)) == quote
        assert memoryview(quote).nbytes == 64
        with contextlib.suppress(ValueError):
            Tick(lots=10**6)

    rounds = 2000
    tracemalloc.start()
    try:
        use()
        gc.collect()
        before, _ = tracemalloc.get_traced_memory()
        for _ in range(rounds):
            use()
        gc.collect()
        after, _ = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert after - before < 8 * rounds  # less than the smallest object a round
