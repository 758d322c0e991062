"""Where the compiler puts the words of the shared structs."""
from nanobus.bus.control cimport ControlBlock, ReaderLine, WriterLine
from nanobus.core.layout cimport SlotHeader


def offsets():
    """Return struct -> field -> byte offset, with "size" for the whole."""
    cdef SlotHeader *slot = NULL
    cdef ControlBlock *control = NULL
    return {
        "slot": {
            "stamp": <size_t> &slot.stamp, "size": <size_t> &slot.size, "source": <size_t> &slot.source,
            "message": <size_t> &slot.message, "timestamp": <size_t> &slot.timestamp, "crc32c": <size_t> &slot.crc32c,
            "cause": <size_t> &slot.cause, "payload": sizeof(SlotHeader),
        },
        "control": {
            "magic": <size_t> &control.magic, "head": <size_t> &control.head, "parked": <size_t> &control.parked,
            "committed": <size_t> &control.committed, "boundaries": <size_t> &control.boundaries,
            "lines": sizeof(ControlBlock),
        },
        "lines": {"writer": sizeof(WriterLine), "reader": sizeof(ReaderLine)},
    }
