"""A market that quotes, a trader that buys what is cheap, a ledger that writes down what was bought."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from nanobus import Handler, on

from messages import Order, Quote

SPREAD = 0.5
LOT = 10


@dataclass
class Task:
    """What the market asks, what the trader wants; and the ledger, for `main` to read once all have stopped."""

    asks: Sequence[float]
    limit: float
    wanted: int
    ledger: list[Order] = field(default_factory=list)


class Market(Handler, id=1):
    def on_start(self) -> None:
        for ask in self.config.asks:
            self.send(Quote(symbol="ACME", bid=ask - SPREAD, ask=ask))


class Trader(Handler, id=2):
    def __init__(self, config: Task) -> None:
        super().__init__(config)
        self.bought = 0

    @on(Quote)
    def quote(self, quote: Quote) -> None:
        if quote.ask > self.config.limit or self.bought == self.config.wanted:
            return
        self.send(Order(symbol=quote.symbol, side=Order.BUY, quantity=LOT, price=quote.ask))
        self.bought += LOT
        if self.bought == self.config.wanted:
            self.stop()                         # what was sent before still arrives, that order too


class Ledger(Handler, id=3):
    @on(Order)
    def order(self, order: Order) -> None:
        self.config.ledger.append(order)
