"""A desk that sends orders, and the risk check, whose compiled half is in `risk_core.pyx`."""

from dataclasses import dataclass, field

from nanobus import Handler, native, on

from messages import Decision, Order
from risk_core import RiskCore


@dataclass
class Trading:
    """What is ordered, as (price, quantity), and how much may be open; and what was decided, for `main` to read."""

    orders: list[tuple[float, int]]
    limit: float
    accepted: list[bool] = field(default_factory=list)
    exposure: float = 0.0


class Desk(Handler, id=1):
    config: Trading

    def on_start(self) -> None:
        for number, (price, quantity) in enumerate(self.config.orders):
            self.send(Order(number, price, quantity))

    @on(Decision)
    def decision(self, decision: Decision) -> None:
        self.config.accepted.append(decision.accepted)
        self.config.exposure = decision.exposure
        if decision.number == len(self.config.orders) - 1:
            self.stop()


class Risk(RiskCore, Handler, id=2):
    def __init__(self, config: Trading) -> None:
        super().__init__(config)
        self.limit = config.limit

    orders = on(Order)(native(sends=[Decision]))        # RiskCore.receive gets them
