"""Two nano-services. What they print is for whoever watches: a kitchen that was killed may print a dish twice.

What they send is not sent twice: the journal knows it already.
"""

import time
from dataclasses import dataclass

from nanobus import Handler, every, on

from messages import Closing, Meal, Order

MENU = ("soup", "pie", "stew", "cake")


@dataclass(frozen=True)
class Evening:
    orders: int
    seconds: float          # that the kitchen needs for a dish


class Counter(Handler, id=1):
    """Takes orders, hands out the meals, and closes after the last one."""

    def __init__(self, config: Evening) -> None:
        super().__init__(config)
        self.taken = 0

    @every(0.02)
    def take(self) -> None:
        if self.taken < self.config.orders:
            self.taken += 1
            self.send(Order(self.taken, MENU[self.taken % len(MENU)]))

    @on(Meal)
    def hand_out(self, meal: Meal) -> None:
        print(f"handed out {meal.dish} {meal.number}", flush=True)
        if meal.number == self.config.orders:
            self.send(Closing())
            self.stop()


class Kitchen(Handler, id=2):
    """Cooks one order after the other."""

    @on(Order)
    def cook(self, order: Order) -> None:
        time.sleep(self.config.seconds)
        self.send(Meal(order.number, order.dish))
        print(f"cooked {order.dish} {order.number}", flush=True)

    @on(Closing)
    def close(self, _: Closing) -> None:
        self.stop()
