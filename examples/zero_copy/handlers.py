"""A microphone that writes sound into the bus itself, and a meter that reads it there."""

from dataclasses import dataclass
from math import pi, sin, sqrt

from nanobus import Handler, every, on

from messages import SAMPLES, Block

RATE = 8000.0           # samples a second
TONE = 500.0            # Hz


@dataclass
class Recording:
    """What the microphone hears; and what the meter found, for `main` to read once both have stopped."""

    blocks: int
    loudest_number: int
    blocks_measured: int = 0
    loudest: Block | None = None


def tone(volume: float) -> tuple[float, ...]:
    return tuple(volume * sin(2 * pi * TONE * index / RATE) for index in range(SAMPLES))


class Microphone(Handler, id=1):
    def __init__(self, config: Recording) -> None:
        super().__init__(config)
        self.number = 0

    @every(0.001)
    def record(self) -> None:
        if self.number == self.config.blocks:
            return
        samples = tone(volume=1 / (1 + abs(self.number - self.config.loudest_number)))
        with self.claim(Block) as block:            # a slot on the bus: filled in here, sent when the `with` ends
            block.number = self.number
            block.last = self.number == self.config.blocks - 1
            block.rate = RATE
            block.microphone = b"left"
            block.samples = samples
        self.number += 1


class Meter(Handler, id=2):
    def __init__(self, config: Recording) -> None:
        super().__init__(config)
        self.highest_level = 0.0

    @on(Block)
    def measure(self, block: Block) -> None:
        level = sqrt(sum(sample * sample for sample in block.samples) / SAMPLES)
        if level > self.highest_level:
            self.highest_level = level
            self.config.loudest = block             # kept: when this method returns it gets bytes of its own
        self.config.blocks_measured += 1
        if block.last:
            self.stop()
