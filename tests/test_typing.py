"""What type checkers say of programs that use nanobus: right ones pass, wrong ones are told."""

import subprocess
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
TYPING = ROOT / "tests" / "typing"
CHECK_SECONDS = 300


@pytest.mark.parametrize("path", sorted(TYPING.glob("*.py")), ids=lambda path: path.stem)
def test_checker_agrees(path, tmp_path):
    pytest.importorskip("msgspec")          # one of the libraries whose types they use
    # rejected.py ignores each error it expects by its name; ignoring one that is not there is an error itself
    run = subprocess.run(
        [
            sys.executable, "-m", "mypy", "--strict", "--enable-error-code", "ignore-without-code",
            "--config-file", str(ROOT / "pyproject.toml"), "--cache-dir", str(tmp_path), str(path),
        ],
        cwd=tmp_path, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=CHECK_SECONDS, check=False,
    )
    assert run.returncode == 0, run.stdout
