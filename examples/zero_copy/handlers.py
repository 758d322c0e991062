"""A microphone that writes sound into the bus itself, and a meter that reads it there."""

from dataclasses import dataclass
from math import pi, sin, sqrt

from nanobus import Handler, on

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
    def on_start(self) -> None:
        for number in range(self.config.blocks):
            volume = 1 / (1 + abs(number - self.config.loudest_number))
            with self.claim(Block) as block:        # a slot of the bus: sent at the end of the block, there is no copy
                block.number = number
                block.last = number == self.config.blocks - 1
                block.rate = RATE
                block.microphone = b"left"
                block.samples = tone(volume)


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
