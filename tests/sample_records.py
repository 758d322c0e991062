"""The Record classes that several files of tests use."""

from __future__ import annotations

import types
from typing import Annotated, Any, ClassVar

from nanobus.field_types import Array, boolean, f64, i16, i64, u32
from nanobus.records import Record


class Quote(Record):
    symbol: Annotated[bytes, 8]
    bid: f64
    ask: f64 = 1.5
    levels: Annotated[tuple[float, ...], Array(f64, 5)]

    limit: ClassVar[int] = 10

    @property
    def spread(self) -> float:
        return self.ask - self.bid


class SizedQuote(Quote):
    lots: u32 = 3
    firm: boolean


class Tick(Record):
    price: i64
    lots: i16


class Other(Record):
    price: i64
    lots: i16
    more: Annotated[tuple[int, ...], Array(i64, 100)]


def record_class(**annotations: Any) -> type[Record]:
    return types.new_class("Made", (Record,), {}, lambda body: body.update(__annotations__=annotations))
