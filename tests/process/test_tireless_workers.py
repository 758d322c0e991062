"""Workers in processes that answer each other without a rest."""

import pytest

from nanobus import CircularBus, Envelope, Messenger, Worker
from placed import Oracle, Question, Reply, Tireless


@pytest.mark.parametrize("wait", ["spin", "yield", "block"])
def test_workers_that_never_rest_still_hear_that_they_shall_stop(wait):
    workers = [
        Worker("tireless", [Tireless], {(Oracle, Reply): [Tireless]}, process=True),
        Worker("oracle", [Oracle], {(Tireless, Question): [Oracle]}, process=True),
    ]
    with CircularBus(1 << 16, wait=wait) as bus, bus.reader(gate=False) as reader:
        with Messenger(bus, workers).run() as handles:
            answers = 0
            while answers < 1000:
                answers += isinstance(reader.read(timeout=20), Envelope)
            handles.stop(drain=False, timeout=20)
