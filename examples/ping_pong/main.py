"""Ping pong: A and B share a worker and talk to each other; C, in a worker of its own, listens.

    worker "table"        worker "stand"

         Ping
      A ------> B ------+
        <------         +--> C
         Pong  ---------+

    python examples/ping_pong/main.py
"""

import time

from nanobus import CircularBus, Messenger, Worker

from handlers import A, B, C, Rally
from messages import Ping, Pong

TIMEOUT = 60


def main(pings: int = 10_000) -> Rally:
    rally = Rally(pings)
    messenger = Messenger(
        CircularBus(1 << 20),
        workers=[
            Worker("table", [A, B], routes={(A, Ping): [B], (B, Pong): [A]}),
            Worker("stand", [C], routes={(A, Ping): [C], (B, Pong): [C]}),
        ],
        config=rally,
    )
    begin = time.perf_counter()
    with messenger.run() as handles:
        handles.join(TIMEOUT)               # B stops the messenger at the last ping; C still hears it
    seconds = time.perf_counter() - begin

    assert rally.got_by_b == list(range(1, pings + 1))
    assert rally.got_by_a == rally.got_by_b[:-1]
    assert len(rally.heard_by_c) == len(rally.got_by_a) + len(rally.got_by_b)
    assert rally.heard_by_c[-1] == f"Ping {pings}"
    print(f"{pings} pings, {len(rally.got_by_a)} pongs, {seconds / pings * 1e6:.1f} us a round")
    print(f"C heard all {len(rally.heard_by_c)} of them, the last was {rally.heard_by_c[-1]!r}")
    return rally


if __name__ == "__main__":
    main()
