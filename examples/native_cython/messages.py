"""The messages: C structs, which `risk_core.pyx` declares once more in Cython."""

from nanobus import Record, boolean, f64, i64, message, u64


@message(id=1)
class Order(Record):
    number: u64
    price: f64
    quantity: i64                   # below 0: sell


@message(id=2)
class Decision(Record):
    number: u64
    exposure: f64
    accepted: boolean
