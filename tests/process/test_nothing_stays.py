"""Programs with workers in processes, and every way in which they end: no process and no file stays."""

import os
import signal
import subprocess
import sys
import textwrap
from pathlib import Path

import psutil
import pytest

from nanobus import CircularBus

TESTS = Path(__file__).resolve().parents[1]
SECONDS = 60


PARENT = """
    import os, signal, sys, time
    from nanobus import CircularBus, JournalBus, Messenger, Worker
    from placed import OUTSIDE, Oracle, Question, Ticking

    if __name__ == "__main__":
        bus = {"anonymous": lambda: CircularBus(1 << 16), "path": lambda: CircularBus(1 << 16, sys.argv[2]),
               "journal": lambda: JournalBus(sys.argv[2])}[sys.argv[1]]()
        workers = [
            Worker("oracle", [Oracle], {(OUTSIDE, Question): [Oracle]}, process=True),
            Worker("ticking", [Ticking], process="fork" if sys.argv[3] == "fork" else True, restart="on-failure"),
        ]
        with Messenger(bus, workers, {}).run() as handles:
            if sys.argv[3] in ("busy", "greedy"):
                bus.sender(OUTSIDE).send(Question(-8 if sys.argv[3] == "busy" else -12))
            print("running", flush=True)
            match input():
                case "leave": pass
                case "raise": raise LookupError
                case "exit": sys.exit(3)
                case "vanish": os._exit(4)
                case "abort": os.abort()
                case "die": bus.sender(OUTSIDE).send(Question(-2)); handles.join()
                case "wait": time.sleep(3600)
"""


def strangers(processes, folder):
    """Files of /dev/shm and /tmp that the processes have open or mapped, outside of `folder`."""
    found = set()
    for process in processes:
        opened = [os.readlink(path) for path in Path(f"/proc/{process.pid}/fd").iterdir() if path.is_symlink()]
        mapped = [line.split(maxsplit=5)[5] for line in Path(f"/proc/{process.pid}/maps").read_text().splitlines()
                  if line.count(" ") > 5 and len(line.split(maxsplit=5)) == 6]
        found |= {path for path in opened + mapped if path.startswith(("/dev/shm", "/tmp"))}
    prefixes = (str(folder), sys.prefix)
    return {path for path in found if not path.startswith(prefixes)}


@pytest.mark.parametrize(
    ("kind", "how", "end", "code"),
    [
        ("anonymous", "idle", "leave", 0), ("path", "idle", "raise", 1), ("journal", "idle", "exit", 3),
        ("anonymous", "busy", "vanish", 4), ("path", "busy", "abort", -signal.SIGABRT), ("anonymous", "idle", "die", 1),
        ("anonymous", "idle", "SIGINT", -signal.SIGINT), ("journal", "busy", "SIGTERM", -signal.SIGTERM),
        ("anonymous", "idle", "SIGKILL", -signal.SIGKILL), ("anonymous", "busy", "SIGKILL", -signal.SIGKILL),
        ("path", "greedy", "SIGKILL", -signal.SIGKILL),
        ("path", "idle", "SIGKILL", -signal.SIGKILL), ("journal", "busy", "SIGKILL", -signal.SIGKILL),
        ("anonymous", "fork", "SIGKILL", -signal.SIGKILL), ("anonymous", "fork", "leave", 0),
    ],
)
def test_no_child_and_no_file_stays_after_any_end_of_a_program(tmp_path, kind, how, end, code):
    script, temporary = tmp_path / "script.py", tmp_path / "temporary"
    temporary.mkdir()
    script.write_text(textwrap.dedent(PARENT))
    parent = subprocess.Popen(
        [sys.executable, "-W", "ignore", script, kind, tmp_path / "bus", how], text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONPATH": str(TESTS), "TMPDIR": str(temporary), "PYTHONFAULTHANDLER": ""},
    )
    assert parent.stdout.readline() == "running\n"
    children = psutil.Process(parent.pid).children(recursive=True)
    assert len(children) == 2
    assert strangers([parent, *children], tmp_path) == set()
    if end.startswith("SIG"):
        parent.stdin.write("wait\n")
        parent.stdin.flush()
        parent.send_signal(signal.Signals[end])
    else:
        parent.stdin.write(f"{end}\n")
        parent.stdin.flush()
    assert parent.wait(SECONDS) == code
    parent.stdin.close()
    parent.stdout.close()
    _, alive = psutil.wait_procs(children, timeout=SECONDS)
    assert alive == []
    assert list(temporary.iterdir()) == []
    assert set(tmp_path.iterdir()) <= {script, temporary, tmp_path / "bus"}
    if kind == "path":
        with CircularBus(path=tmp_path / "bus") as bus:
            for _ in range(200):
                bus.write(1, 1, bytes(1000), timeout=SECONDS)   # nobody holds the gate
