"""The arrows between the layers point down, and a few rules that only the source text can show."""

import ast
import re
import sys
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = ROOT / "src" / "nanobus"

# First part of a module's name behind "nanobus." -> its layer. Imports go to the same layer or a lower one.
LAYERS = {
    "errors": -1,
    "core": 0,
    "memory": 1,
    "bus": 2, "journal": 2,
    "dispatch": 3,
    "handlers": 4, "messages": 4, "records": 4, "codecs": 4, "field_types": 4, "schema": 4,
    "natives": 4, "batching": 4,
    "routing": 5, "journaling": 5, "staff": 5, "running": 5, "divergence": 5, "replaying": 5, "messenger": 5,
    "sharding": 5, "processes": 5, "programs": 5,
    "cli": 6, "__main__": 6,
}  # fmt: skip
PUBLIC_NAMES = 6  # the package itself
# A journal gets what writes down its schema from the package, as any first use of a name does, and only when it has to.
UPWARD = {"journal/journal.pyx": ["nanobus"]}

MEMORY_ORDER = re.compile(r"__atomic_|__sync_|memory_order|stdatomic|_Atomic\b")
CYTHON_IMPORT = re.compile(r"^[ \t]*(?:from[ \t]+([\w.]+)[ \t]+c?import\b|c?import[ \t]+([\w., \t]+))", re.MULTILINE)
LONGEST_FILE = 500


def sources(*suffixes: str, root: Path = PACKAGE) -> list[Path]:
    return sorted(path for path in root.rglob("*") if path.suffix in suffixes and path.is_file())


def name_of(path: Path) -> str:
    return ".".join(path.relative_to(PACKAGE.parent).with_suffix("").parts).removesuffix(".__init__")


def layer_of(module: str) -> int:
    parts = module.split(".")
    return LAYERS[parts[1]] if len(parts) > 1 else PUBLIC_NAMES


def only_for_checkers(node: ast.AST) -> bool:
    """Whether this is an `if TYPE_CHECKING:` block, which never runs."""
    return isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING"


def imports_of(path: Path) -> list[str]:
    """Every module that this one imports or cimports, wherever in it the line stands."""
    text = path.read_text()
    if path.suffix != ".py":
        found = []
        for one, several in CYTHON_IMPORT.findall(text):
            found += [one] if one else [name.split()[0] for name in several.split(",")]
        return found
    tree = ast.parse(text)
    tree.body = [node for node in tree.body if not only_for_checkers(node)]
    modules = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            modules += [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports relatively"
            modules.append(node.module or "")
            if node.module == "nanobus":  # `from nanobus import bus`: a module is a name too
                modules += [f"nanobus.{alias.name}" for alias in node.names if alias.name in LAYERS]
    return modules


def ids(path: Path) -> str:
    return str(path.relative_to(PACKAGE))


@pytest.mark.parametrize("path", sources(".py", ".pyx", ".pxd"), ids=ids)
def test_imports_point_down(path):
    layer = layer_of(name_of(path))
    own = [module for module in imports_of(path) if module.split(".")[0] == "nanobus"]
    upward = [module for module in own if layer_of(module) > layer]
    assert upward == UPWARD.get(ids(path), []), f"{ids(path)} is of layer {layer} and imports from above: {upward}"


def test_the_imports_of_every_kind_of_source_are_seen():
    assert "nanobus.bus.codec" in imports_of(PACKAGE / "handlers.py")
    assert "nanobus.bus.sender" in imports_of(PACKAGE / "bus" / "base.pyx")  # inside of a method
    assert "nanobus.core.atomics" in imports_of(PACKAGE / "dispatch" / "worker_loop.pyx")
    assert "nanobus.core.layout" in imports_of(PACKAGE / "bus" / "base.pxd")


def test_only_the_standard_library_is_imported():
    compiled = {"cpython", "cython", "libc", "posix"}
    known = {"nanobus", *compiled, *sys.stdlib_module_names}
    # inside of functions: the libraries of the optional codecs, once a class of theirs was declared
    for path in sources(".py", ".pyx", ".pxd"):
        text = path.read_text()
        modules = imports_of(path)
        if path.suffix == ".py":
            body = [node for node in ast.parse(text).body if isinstance(node, ast.Import | ast.ImportFrom)]
            modules = [getattr(node, "module", None) or node.names[0].name for node in body]
        foreign = {module.split(".")[0] for module in modules} - known
        assert not foreign, f"{ids(path)} needs {foreign}"


def test_the_package_exports_and_nothing_else():
    body = ast.parse((PACKAGE / "__init__.pyi").read_text()).body
    for node in body:
        exported = isinstance(node, ast.ImportFrom) or ast.unparse(node).startswith("__all__ = ")
        assert exported, f"line {node.lineno} of nanobus/__init__.pyi is no export: {ast.unparse(node)}"
    stub = {name.name: node.module for node in body if isinstance(node, ast.ImportFrom) for name in node.names}
    (listed,) = (node.value for node in body if isinstance(node, ast.Assign))
    assert sorted(ast.literal_eval(listed)) == sorted(stub)
    table = re.search(r"^_HOMES = (\{.*?^\})", (PACKAGE / "__init__.py").read_text(), re.MULTILINE | re.DOTALL)
    assert table, "nanobus/__init__.py has no table of names"
    homes = ast.literal_eval(table[1])
    assert {name: f"nanobus.{home}" for home, names in homes.items() for name in names.split()} == stub


@pytest.mark.parametrize("path", sorted(PACKAGE.rglob("__init__.py")), ids=ids)
def test_a_folder_says_what_is_inside(path):
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, f"{ids(path)} has no docstring"
    modules = {one.stem for one in path.parent.iterdir() if one.suffix in (".py", ".pyx", ".pxd")} - {"__init__"}
    if path.parent != PACKAGE:
        missing = {name for name in modules if not re.search(rf"^\s*{name}\b", docstring, re.MULTILINE)}
        assert not missing, f"{ids(path)} does not speak of {sorted(missing)}"


@pytest.mark.parametrize("path", [one for one in sources(".py", ".pyx", ".pxd") if "core" not in one.parts], ids=ids)
def test_memory_orders_are_spelled_in_core_only(path):
    assert not MEMORY_ORDER.search(path.read_text())


@pytest.mark.parametrize("path", sources(".pyx", ".pxd"), ids=ids)
def test_cython_sources_are_modules_of_their_own(path):
    text = path.read_text()
    assert not re.search(r"^\s*include\s*[\"']", text, re.MULTILINE), "a textual include"
    assert not re.search(r"^\s*from\s+\.", text, re.MULTILINE), "a relative import"


def test_nothing_is_included_or_generated():
    assert sources(".pxi", ".c", ".h", ".tp") == []


def listed_in_build() -> set[str]:
    """The files that src/nanobus/meson.build installs, relative to it."""
    text = (PACKAGE / "meson.build").read_text()
    listed = {one for one in ("py.typed", "__init__.pyi") if f"'{one}'" in text}
    for table, suffixes in (("compiled", (".pyx", ".pyi")), ("contracts", (".pxd",)), ("python_sources", (".py",))):
        block = re.search(rf"^{table} = (\{{.*?^\}})", text, re.MULTILINE | re.DOTALL)
        assert block, f"src/nanobus/meson.build has no table {table}"
        for folder, modules in ast.literal_eval(block[1]).items():
            listed |= {str(Path(folder, module + suffix)) for module in modules for suffix in suffixes}
    return listed


def test_every_source_is_in_the_wheel():
    there = {ids(path) for path in sources(".py", ".pyx", ".pxd", ".pyi")} | {"py.typed"}
    assert there == listed_in_build()


def test_no_file_is_longer_than_one_can_read():
    folders = [ROOT / name for name in ("src", "tests", "perf", "examples")]
    longest = {
        str(path.relative_to(ROOT)): len(path.read_text().splitlines())
        for folder in folders
        for path in sources(".py", ".pyx", ".pxd", ".pyi", root=folder)
    }
    assert {path: lines for path, lines in longest.items() if lines > LONGEST_FILE} == {}
