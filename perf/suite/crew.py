"""Crew: workers that stand ready, each in a thread or a process of its own, and do as often as they are told."""

from __future__ import annotations

import threading
import time
import traceback
from abc import ABC, abstractmethod
from collections.abc import Callable
from multiprocessing.connection import Connection, Pipe
from typing import Any, NamedTuple

from peers.link import SPAWN, Link, Where
from suite.case import Rig

PATIENCE = 60                               # seconds: a run that takes longer hangs


class Job(NamedTuple):
    """What a node does once it stands: `work(count)`, over and over, and at last `close()`."""

    work: Callable[[int], object]
    close: Callable[[], object]


class Worker(ABC):
    """A node. It travels to its process by pickle, so it holds links and no ends.

    Parameters
    ----------
    leads : bool
        Whether time counts from when it begins; what only waits for others does not.
    """

    leads = False

    @abstractmethod
    def open(self) -> Job:
        """Return the job, in the thread or the process that does it."""


class Crew(Rig):
    """Workers that stand ready, each behind a pipe of its own through which it is told how often.

    Parameters
    ----------
    workers : list of (Worker, callable)
        The callable says how many messages are a worker's, of `count` that set out.
    links : list of Link
        Closed when all are gone.
    """

    def __init__(self, workers: list[tuple[Worker, Callable[[int], int]]], links: list[Link], where: Where) -> None:
        self.links = links
        self.shares = [share for _, share in workers]
        self.leads = [worker.leads for worker, _ in workers]
        self.controls: list[Connection] = []
        self.runners: list[Any] = []        # threads, or processes
        for worker, _ in workers:
            here, there = Pipe()
            if where == "processes":
                process = SPAWN.Process(target=live, args=(worker, there), daemon=True)
                process.start()
                self.runners.append(process)
                there.close()               # so that its death ends a wait for it
            else:
                thread = threading.Thread(target=live, args=(worker, there), daemon=True)
                thread.start()
                self.runners.append(thread)
            self.controls.append(here)
        for control in self.controls:
            self.hear(control)

    def run(self, count: int) -> float:
        self.begin(count)
        times = self.end()
        began = min(begin for (begin, _), leads in zip(times, self.leads, strict=True) if leads)
        return max(end for _, end in times) - began

    def begin(self, count: int) -> None:
        order = sorted(range(len(self.leads)), key=self.leads.__getitem__)      # who waits for others begins first
        for place in order:
            self.controls[place].send(self.shares[place](count))

    def end(self) -> list[tuple[float, float]]:
        return [self.hear(control) for control in self.controls]

    def hear(self, control: Connection) -> tuple[float, float]:
        if not control.poll(PATIENCE):
            raise TimeoutError(f"a worker did not end in {PATIENCE} s")
        told: tuple[float, float] | str = control.recv()
        if isinstance(told, str):
            raise RuntimeError(f"a worker failed:\n{told}")
        return told

    def stop(self) -> None:
        for control in self.controls:
            control.send(None)
        for runner in self.runners:
            runner.join(PATIENCE)
        for link in self.links:
            link.close()


def live(worker: Worker, control: Connection) -> None:
    """Be a worker, until told to end. Says (began, ended) of each run, or a traceback."""
    try:
        job = worker.open()
        control.send((0.0, 0.0))
        try:
            while (count := control.recv()) is not None:
                began = time.perf_counter()
                job.work(count)
                control.send((began, time.perf_counter()))
        finally:
            job.close()
    except BaseException:
        control.send(traceback.format_exc())
        raise
