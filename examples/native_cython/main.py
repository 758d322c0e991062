"""A handler whose class is compiled: orders are checked without the GIL and without an object.

    worker "desk": Desk -- Order --> worker "risk": Risk, native -- Decision --> worker "desk"

Builds `risk_core.pyx` against the installed nanobus, with meson, in a folder that is removed at the end.

    python examples/native_cython/main.py
"""

import importlib.util
import os
import subprocess
import sys
import sysconfig
from pathlib import Path
from tempfile import TemporaryDirectory

from nanobus import CircularBus, Messenger, Worker

HERE = Path(__file__).resolve().parent
TIMEOUT = 60
ORDERS = 20_000
LIMIT = 1_000_000.0


def build(folder: str) -> None:
    """Build the module of this folder into `folder`, from which it is imported then."""
    tools = dict(os.environ, PATH=sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"])
    meson = [sys.executable, "-m", "mesonbuild.mesonmain"]
    for command in (["setup", folder, str(HERE)], ["compile", "-C", folder]):
        done = subprocess.run([*meson, *command], env=tools, check=False, capture_output=True, text=True)
        if done.returncode:
            raise SystemExit(f"{done.stdout}{done.stderr}\n{HERE} does not build against the installed nanobus")
    sys.path.insert(0, folder)


def run() -> None:
    from handlers import Desk, Risk, Trading
    from messages import Decision, Order

    trading = Trading([(100.0 + number % 7, -80 if number % 3 == 2 else 50) for number in range(ORDERS)], LIMIT)
    messenger = Messenger(
        CircularBus(1 << 20),
        workers=[
            Worker("desk", [Desk], routes={(Risk, Decision): [Desk]}),
            Worker("risk", [Risk], routes={(Desk, Order): [Risk]}),
        ],
        config=trading,
    )
    with messenger.run() as handles:
        handles.join(TIMEOUT)

    exposure, expected = 0.0, []
    for price, quantity in trading.orders:
        expected.append(abs(exposure + price * quantity) <= LIMIT)
        exposure += price * quantity if expected[-1] else 0.0
    assert trading.accepted == expected
    assert trading.exposure == exposure
    print(f"{sum(expected)} of {ORDERS} orders were accepted, {exposure:.0f} of {LIMIT:.0f} is open")


def main() -> None:
    missing = [name for name in ("Cython", "mesonbuild", "ninja") if importlib.util.find_spec(name) is None]
    if missing:
        raise SystemExit(f"this example needs {', '.join(missing)}: pip install 'nanobus[examples]'")
    with TemporaryDirectory() as folder:
        build(folder)
        run()


if __name__ == "__main__":
    main()
