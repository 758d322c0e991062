"""Protobuf: generated classes are messages like any others, here between two workers.

    worker "exchange"                  worker "desk"
      Market ------- Quote -------------> Trader
      Ledger <------ Order -------------- Trader

    python examples/protobuf/main.py
"""

from nanobus import CircularBus, Messenger, Worker

from handlers import LOT, Ledger, Market, Task, Trader
from messages import Order, Quote

TIMEOUT = 60


def main() -> list[Order]:
    task = Task(asks=[101.5, 99.5, 100.0, 102.0, 98.75, 99.0], limit=100.0, wanted=3 * LOT)
    messenger = Messenger(
        CircularBus(1 << 16),
        workers=[
            Worker("exchange", [Market, Ledger], routes={(Trader, Order): [Ledger]}),
            Worker("desk", [Trader], routes={(Market, Quote): [Trader]}),
        ],
        config=task,
    )
    with messenger.run() as handles:
        handles.join(TIMEOUT)

    assert [order.price for order in task.ledger] == [99.5, 100.0, 98.75]
    assert sum(order.quantity for order in task.ledger) == task.wanted
    for order in task.ledger:
        print(f"{Order.Side.Name(order.side)} {order.quantity} {order.symbol} at {order.price}")
    print(f"{len(task.asks)} quotes, {len(task.ledger)} orders")
    return task.ledger


if __name__ == "__main__":
    main()
