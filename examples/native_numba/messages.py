"""The messages: C structs, which Python, numpy and numba read alike."""

from nanobus import Record, boolean, f64, message


@message(id=1)
class Trade(Record):
    price: f64
    size: f64
    last: boolean = False           # the feed has no more


@message(id=2)
class Bar(Record):
    """What happened in some trades."""

    opened: f64 = 0.0
    highest: f64 = 0.0
    lowest: f64 = 0.0
    closed: f64 = 0.0
    volume: f64 = 0.0
    trades: f64 = 0.0
    last: boolean = False
