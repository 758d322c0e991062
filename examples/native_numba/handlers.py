"""A feed of trades, a handler that numba compiles, which makes bars of them, and a chart that keeps the bars."""

from dataclasses import dataclass, field

import numba
import numpy
from nanobus import Handler, native, on
from nanobus.natives import send_function

from messages import Bar, Trade

TRADES_A_BAR = 1000
BAR_ID = 2

TRADE = numpy.asarray(Trade(0.0, 0.0)).dtype
BAR = numpy.asarray(Bar()).dtype
BAR_SIZE = BAR.itemsize
POINTER = numba.types.voidptr

send = send_function()


@dataclass
class Market:
    """What is traded; and the bars that came of it, for `main` to read."""

    prices: list[float]
    bars: list[Bar] = field(default_factory=list)


def add(_message, payload, outlet, state):  # type: ignore[no-untyped-def]  # numba knows the types
    """Add a trade to the bar that is the handler's state; send that when it is full."""
    trade = numba.carray(payload, 1, TRADE)[0]
    bars = numba.carray(state, 1, BAR)
    bar = bars[0]
    if bar.trades == 0:
        bar.opened = bar.highest = bar.lowest = trade.price
    bar.highest = max(bar.highest, trade.price)
    bar.lowest = min(bar.lowest, trade.price)
    bar.closed = trade.price
    bar.volume += trade.size
    bar.trades += 1
    bar.last = trade.last
    status = 0
    if bar.trades == TRADES_A_BAR or bar.last:
        status = send(outlet, BAR_ID, bars.ctypes, BAR_SIZE)
        bar.trades = 0
        bar.volume = 0
    return status                   # of `send`: what could not be sent is an error of this handler


class Feed(Handler, id=1):
    config: Market

    def on_start(self) -> None:
        for number, price in enumerate(self.config.prices, 1):
            self.send(Trade(price, 1.0, last=number == len(self.config.prices)))


class Bars(Handler, id=2):
    def __init__(self, config: Market) -> None:
        super().__init__(config)
        self.bar = numpy.zeros(1, BAR)

    trades = on(Trade)(native(numba.cfunc(numba.types.int32(*[POINTER] * 4))(add), state="bar", sends=[Bar]))


class Chart(Handler, id=3):
    config: Market

    @on(Bar)
    def bar(self, bar: Bar) -> None:
        self.config.bars.append(bar)
        if bar.last:
            self.stop()
