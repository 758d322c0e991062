"""numpy sees a record as a structured scalar over the record's own bytes."""

from __future__ import annotations

from typing import Annotated, Any

import numpy as np
import pytest

from nanobus.field_types import Array, boolean, f32, f64, i8, i16, i32, i64, u8, u16, u32, u64
from nanobus.records import Record


class Everything(Record):
    a: u8 = 200
    b: i64 = -5
    c: boolean = True
    d: u16 = 60000
    e: f32 = 0.5
    f: Annotated[bytes, 5] = b"ACME"
    g: f64 = 1.25
    h: i8 = -3
    i: Annotated[tuple[int, ...], Array(i32, 3)] = (1, -2, 3)
    j: u64 = 2**63
    k: Annotated[tuple[bool, ...], Array(boolean, 2)] = (True, False)
    m: u32 = 7
    n: i16 = -8


def test_numpy_reads_every_field_where_the_record_does() -> None:
    record = Everything()
    view: Any = np.asarray(record)
    assert view.shape == ()
    assert view.dtype.itemsize == len(bytes(record))
    for name, _, offset, size in Everything.__layout__:
        dtype, numpy_offset = view.dtype.fields[name]
        assert (numpy_offset, dtype.itemsize) == (offset, size)
        value = view[name].tolist()
        assert (tuple(value) if isinstance(value, list) else value) == getattr(record, name)


def test_numpy_writes_into_a_mutable_record() -> None:
    record = Everything()
    view: Any = np.asarray(record)
    view["g"] = 9.5
    view["i"][1] = 77
    record.j = 1
    assert (record.g, record.i, view["j"]) == (9.5, (1, 77, 3), 1)


def test_numpy_only_reads_a_received_record() -> None:
    view: Any = np.asarray(Everything.__record_codec__(1).decode_payload(bytes(Everything())))
    assert view["g"] == 1.25
    with pytest.raises(ValueError, match="read-only"):
        view["g"] = 1.0


def test_the_bytes_outlive_the_record_while_numpy_sees_them() -> None:
    view: Any = np.asarray(Everything(g=3.5))
    others = [Everything(g=index) for index in range(100)]
    assert (view["g"], len(others)) == (3.5, 100)


def test_frombuffer_with_a_dtype_of_the_layout_reads_records_in_a_row() -> None:
    payload = bytes(Everything(g=1.0)) + bytes(Everything(g=2.0))
    records: Any = np.frombuffer(payload, dtype=np.asarray(Everything()).dtype)
    assert records["g"].tolist() == [1.0, 2.0]
    assert np.frombuffer(Everything(a=9), dtype=np.uint8)[0] == 9


@pytest.mark.parametrize("dtype", ["<i4", "<i8", "<f8", "<i2"])
def test_a_numpy_array_can_be_assigned(dtype: str) -> None:
    record = Everything()
    if dtype == "<f8":
        with pytest.raises(TypeError, match=r"Everything\.i must be an int"):
            record.i = np.array([4, 5, 6], dtype=dtype)
    else:
        record.i = np.array([4, 5, 6], dtype=dtype)
        assert record.i == (4, 5, 6)
    record.k = np.array([False, True])
    assert record.k == (False, True)


def test_an_array_of_the_other_byte_order_is_converted() -> None:
    record = Everything(i=np.array([4, 5, 6], dtype=">i4"))
    assert record.i == (4, 5, 6)
