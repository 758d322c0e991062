"""Build a project of Cython modules against the installed nanobus: `python tests/native/build.py OUT [SOURCE]`.

SOURCE is a folder with a meson.build, by default the one of this file. The modules end up in OUT, which is printed.
"""

import os
import subprocess
import sys
import sysconfig
from pathlib import Path


def build(out: Path, source: Path) -> str:
    """Build `source` in `out` with the tools of this interpreter's environment; return what they printed."""
    environment = dict(os.environ, PATH=sysconfig.get_path("scripts") + os.pathsep + os.environ["PATH"])
    environment.pop("LD_PRELOAD", None)  # a sanitizer's library, which compilers can do without
    meson = [sys.executable, "-m", "mesonbuild.mesonmain"]
    printed = ""
    for command in (["setup", "--reconfigure", str(out), str(source)], ["compile", "-C", str(out)]):
        run = subprocess.run(
            [*meson, *command], env=environment, check=False, text=True,
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
        )
        printed += run.stdout
        if run.returncode:
            raise SystemExit(f"{printed}\n{source} does not build against the installed nanobus")
    return printed


if __name__ == "__main__":
    if not 2 <= len(sys.argv) <= 3:
        raise SystemExit(__doc__)
    out = Path(sys.argv[1]).resolve()
    source = Path(sys.argv[2]).resolve() if len(sys.argv) == 3 else Path(__file__).resolve().parent
    print(build(out, source), file=sys.stderr)
    print(out)
