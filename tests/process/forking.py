"""A child that does one piece of work."""

import os
import signal
import traceback
from collections.abc import Callable


def fork(work: Callable[[], object], seconds: int = 0) -> int:
    """Run `work` in a child, which dies of SIGALRM after so many seconds, and return its process id."""
    child = os.fork()
    if child:
        return child
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    signal.alarm(seconds)                   # 0: no alarm
    try:
        work()
    except BaseException:
        traceback.print_exc()
        os._exit(1)
    os._exit(0)
