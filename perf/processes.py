"""A round trip of 32 bytes between two processes: ours and the others' in one run, as multiples of ours."""

from __future__ import annotations

import atexit

import pyperf
from peers import OURS, RIVALS
from peers.peer import Peer, Wait

open_peers: dict[tuple[type[Peer], Wait], Peer] = {}


def round_trips(count: int, kind: type[Peer], wait: Wait) -> float:
    peer = open_peers.get((kind, wait))
    if peer is None:
        peer = open_peers[kind, wait] = kind(wait)
        peer.start()
        atexit.register(peer.stop)
        peer.round_trips(100)               # the first ones build connections and fill caches
    return peer.round_trips(count)


def compare(medians: dict[str, float], missing: list[type[Peer]]) -> None:
    """Print what each takes, as a multiple of the first."""
    ours = next(iter(medians.values()))
    print()
    for name, median in medians.items():
        print(f"{name:42} {median * 1e9:12,.0f} ns {median / ours:10,.1f} x")
    for kind in missing:
        print(f"{kind.name:42} is not installed and was not measured: pip install {kind.package}")


if __name__ == "__main__":
    runner = pyperf.Runner()
    runner.metadata["description"] = "a round trip of 32 bytes between two processes"
    medians: dict[str, float] = {}
    for kind in (*OURS, *RIVALS):
        for wait in kind.waits if kind.available() else ():
            name = f"{kind.name}, {'spinning' if wait == 'spin' else 'blocking'}"
            benchmark = runner.bench_time_func(name, round_trips, kind, wait)
            if not runner.args.worker:      # in a process that measures it may be without values
                medians[name] = benchmark.median()       # the mean is of whatever else the machine did
    if medians:
        compare(medians, [kind for kind in RIVALS if not kind.available()])
