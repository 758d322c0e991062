"""How much a stress test does: all of it, or the part that $NANOBUS_LOAD says where a sanitizer makes it slow."""

import os
from concurrent.futures import ThreadPoolExecutor
from typing import Any

PART = float(os.environ.get("NANOBUS_LOAD", "1"))


def load(count: int) -> int:
    """Return the part of `count` to be done, at least 1."""
    return max(1, int(count * PART))


def flow(
    native: Any, bus: Any, writers: int, readers: int, count: int, abort_every: int = 0, batches: tuple[int, ...] = ()
) -> list[Any]:
    """Let `writers` x `count` numbered messages flow to `readers`, each in its own thread; return what readers say.

    `native` is the compiled module that writes and reads them. The first writers write in `batches` of these sizes.
    """
    reading = [bus.reader() for _ in range(readers)]
    writing = [bus.writer() for _ in range(writers)]
    with ThreadPoolExecutor(writers + readers) as pool:
        read = [pool.submit(native.read_numbered, reader, count * writers) for reader in reading]
        written = [
            pool.submit(native.write_batches, writer, source, count, batches[source]) if source < len(batches)
            else pool.submit(native.write_numbered, writer, source, count, abort_every)
            for source, writer in enumerate(writing)
        ]
        assert [one.result(300) for one in written] == [count] * writers
        return [one.result(300) for one in read]
