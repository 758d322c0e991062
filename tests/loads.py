"""How much a stress test does: all of it, or the part that $NANOBUS_LOAD says where a sanitizer makes it slow."""

import os

PART = float(os.environ.get("NANOBUS_LOAD", "1"))


def load(count: int) -> int:
    """Return the part of `count` to be done, at least 1."""
    return max(1, int(count * PART))
