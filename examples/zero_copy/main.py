"""Zero copy: a Record is written straight into the bus, read straight from it, and safe to keep.

    worker "studio": Microphone -- Block --> worker "desk": Meter

    python examples/zero_copy/main.py
"""

from array import array

from nanobus import CircularBus, Messenger, Worker

from handlers import TONE, Meter, Microphone, Recording, tone
from messages import Block

TIMEOUT = 60


def main() -> Recording:
    recording = Recording(blocks=100, loudest_number=63)
    messenger = Messenger(
        CircularBus(1 << 14),                       # room for 15 blocks: the slot of the kept one is used again
        workers=[
            Worker("studio", [Microphone]),
            Worker("desk", [Meter], routes={(Microphone, Block): [Meter]}),
        ],
        config=recording,
    )
    with messenger.run() as handles:
        handles.join(TIMEOUT)

    loudest = recording.loudest
    assert recording.blocks_measured == recording.blocks
    assert loudest is not None
    assert loudest.number == recording.loudest_number
    assert loudest.microphone == b"left"
    assert array("f", loudest.samples) == array("f", tone(volume=1.0))
    print(f"{recording.blocks_measured} blocks of {memoryview(loudest).nbytes} bytes, the loudest is {loudest.number}")
    check_tone(loudest)
    return recording


def check_tone(block: Block) -> None:
    """Look at the block with numpy, if it is there: one structured value over the record's own bytes."""
    try:
        import numpy
    except ImportError:
        return
    samples = numpy.asarray(block)["samples"]
    assert samples.base is not None                 # a view, again no copy
    peak = int(numpy.argmax(numpy.abs(numpy.fft.rfft(samples))))
    frequency = peak * block.rate / len(samples)
    assert frequency == TONE
    print(f"numpy hears {frequency:.0f} Hz in it")


if __name__ == "__main__":
    main()
