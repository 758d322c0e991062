"""Latency at a rate that leaves gaps, and what waiting costs: two processes that sleep until a message comes.

Questions are due at fixed times, whatever became of the one before, and the latency of an answer counts from the time
its question was due: a peer that stalls pays for everything that was due meanwhile. Who asks keeps looking at the clock
for the last moment before a question is due, so that its own sleep is not measured, and then sleeps for the answer as
the peer has it. Who answers is another process, asleep until a question comes.

    latency     us from due to answered
    per trip    processor time of the process that answers, per round trip, all its threads
    idle        processor time of both processes while no message comes, in percent of one processor; the one that asks
                rests outside of the peer, so what it uses is what threads of the peer's use in it

Linux: processor time of another process is read from its clock.
"""

from __future__ import annotations

import argparse
import time

from peers import OURS, RIVALS
from peers.handlers import Handlers
from peers.peer import PAYLOAD, Peer

LAST_MOMENT = 0.0005                        # seconds
PERCENTILES = (50, 90, 99, 99.9)
COLUMNS = "{:28}" + "{:>10}" * (len(PERCENTILES) + 1) + "{:>14}{:>10}"


def measure(peer: Peer, rate: float, seconds: float, idle: float) -> tuple[list[float], float, float]:
    """Return latencies and the answering process's processor time per trip, in seconds, and the share used idle."""
    exchange(peer, rate, 0.2)                           # connections, caches
    used = processor_time(peer.answering_pid)
    latencies = exchange(peer, rate, seconds)
    per_trip = (processor_time(peer.answering_pid) - used) / len(latencies)
    time.sleep(0.1)
    used = processor_time(peer.answering_pid) + time.process_time()
    started = time.perf_counter()
    time.sleep(idle)
    elapsed = time.perf_counter() - started
    return latencies, per_trip, (processor_time(peer.answering_pid) + time.process_time() - used) / elapsed


def exchange(peer: Peer, rate: float, seconds: float) -> list[float]:
    send, receive, _ = peer.ends
    clock = time.perf_counter
    latencies = []
    begin = clock() + 0.01
    for number in range(max(1, int(rate * seconds))):
        due = begin + number / rate
        if (left := due - clock()) > LAST_MOMENT:
            time.sleep(left - LAST_MOMENT)
        while clock() < due:
            pass
        send(PAYLOAD)
        answer = receive()
        latencies.append(clock() - due)
        if answer != PAYLOAD:
            raise AssertionError(f"{peer.name} answered {answer!r}")
    return latencies


def processor_time(pid: int) -> float:
    """Seconds, user and system, of all threads."""
    return time.clock_gettime((~pid << 3) | 2)          # the kernel's name for the clock of a process


def percentile(ordered: list[float], percent: float) -> float:
    return ordered[min(len(ordered) - 1, int(len(ordered) * percent / 100))]


def report(name: str, latencies: list[float], per_trip: float, idle: float) -> str:
    ordered = sorted(latencies)
    figures = [*(percentile(ordered, one) for one in PERCENTILES), ordered[-1], per_trip]
    return COLUMNS.format(name, *(f"{figure * 1e6:.1f}" for figure in figures), f"{idle:.2%}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rate", type=float, default=200, help="questions a second")
    parser.add_argument("--seconds", type=float, default=5, help="how long to ask each peer")
    parser.add_argument("--idle", type=float, default=3, help="how long nothing happens, in seconds")
    arguments = parser.parse_args()
    print(f"{arguments.rate:g} questions of 32 bytes a second for {arguments.seconds:g} s; latency and trip in us")
    print(COLUMNS.format("", *(f"p{one:g}" for one in PERCENTILES), "max", "cpu per trip", "idle"))
    for kind in (*OURS, *RIVALS):
        if kind is Handlers:                            # who asks there is no program
            continue
        if not kind.available():
            print(f"{kind.name:28} is not installed and was not measured: pip install {kind.package}")
            continue
        with kind("block") as peer:
            print(report(kind.name, *measure(peer, arguments.rate, arguments.seconds, arguments.idle)), flush=True)


if __name__ == "__main__":
    main()
