"""What a free-threaded interpreter needs of the library: no module turns the GIL on."""

import subprocess
import sys
import sysconfig
import textwrap

import pytest

pytestmark = pytest.mark.skipif(not sysconfig.get_config_var("Py_GIL_DISABLED"), reason="this Python has a GIL")


def test_every_module_imports_without_turning_the_gil_on():
    script = """
        import importlib, pkgutil, sys
        import nanobus

        names = [one.name for one in pkgutil.walk_packages(nanobus.__path__, "nanobus.")]
        names.remove("nanobus.__main__")
        for name in names:
            importlib.import_module(name)
            assert not sys._is_gil_enabled(), name
        print(len(names))
    """
    done = subprocess.run(
        [sys.executable, "-W", "error", "-c", textwrap.dedent(script)], capture_output=True, text=True, timeout=120
    )
    assert done.returncode == 0, done.stderr
    assert int(done.stdout) > 100
