"""A handler that numba compiles: it reads trades on the bus and sends bars, without the GIL and without an object.

    worker "feed": Feed -- Trade --> worker "bars": Bars, native -- Bar --> worker "chart": Chart

    python examples/native_numba/main.py
"""

import importlib.util
from math import sin

from nanobus import CircularBus, Messenger, Worker

TIMEOUT = 60
TRADES = 25_500


def main() -> None:
    if importlib.util.find_spec("numba") is None:
        print("there is no numba for this Python: nothing to show")
        return
    from handlers import TRADES_A_BAR, Bars, Chart, Feed, Market
    from messages import Bar, Trade

    market = Market([100.0 + sin(number / 500) for number in range(TRADES)])
    messenger = Messenger(
        CircularBus(1 << 20),
        workers=[
            Worker("feed", [Feed]),
            Worker("bars", [Bars], routes={(Feed, Trade): [Bars]}),
            Worker("chart", [Chart], routes={(Bars, Bar): [Chart]}),
        ],
        config=market,
    )
    with messenger.run() as handles:
        handles.join(TIMEOUT)

    assert len(market.bars) == -(-TRADES // TRADES_A_BAR)
    for number, bar in enumerate(market.bars):
        prices = market.prices[number * TRADES_A_BAR:][:TRADES_A_BAR]
        assert (bar.opened, bar.closed) == (prices[0], prices[-1])
        assert (bar.lowest, bar.highest) == (min(prices), max(prices))
        assert bar.volume == bar.trades == len(prices)
    print(f"{TRADES} trades made {len(market.bars)} bars, the last of {market.bars[-1].trades:.0f} trades")


if __name__ == "__main__":
    main()
