"""The house plan of design.md, read off the source: floors, dependencies, sizes of files, arithmetic in layers."""

import ast
import importlib
import pkgutil
import re
from pathlib import Path

import numba
import numpy as np
import pytest
from cases import Seeded, cast, locked, signs
from op_cases import OPS
from properties import _spread_out

import tinytx
from tinytx import ops
from tinytx.kernel import Kernel
from tinytx.layouts import AnyLayout

ROOT = Path(tinytx.__file__).parent
FILES = sorted(ROOT.rglob("*.py"))
FLOORS = [
    {"addresses", "arguments", "calls", "compiler", "dots", "extras", "files", "forks", "jobs", "kernel", "layouts", "lock", "matmul", "members", "memory",
     "paths", "progress", "recording", "registers", "shapes", "simd", "terminal", "wording"},
    {"workers"},
    {"ops", "parameter", "settings", "state", "pretrained"},
    {"core", "vectors"},
    {"layers"},
    {"models"},
    {"tasks"},
    {"training", "decoding", "testing", "hub", "viz", "derivations"},
    {"pipelines", "exercises"},
    {"recipes"},
    {"book"},
    {"cli"},
    {"", "__main__"},  # the package itself, which gathers names
]
FLOOR = {name: floor for floor, names in enumerate(FLOORS) for name in names} | {"data": 4, "metrics": 4}
STANDS_APART = {
    "data": {"arguments", "extras", "files", "shapes", "wording"},
    "metrics": {"arguments"},
    "parameter": {"members"},
    "pretrained": {"hub"},  # the one arrow that points up: its methods import hub when they are called
    "settings": {"arguments"},
    "core": {"members", "parameter"},
    "kernel": {"compiler", "forks", "recording"},  # at the first call of a loop
    "addresses": {"kernel"},
    "calls": {"compiler", "kernel"},
    "compiler": {"addresses", "calls", "dots", "forks", "jobs", "kernel", "layouts", "matmul", "registers", "simd"},
    "dots": {"kernel"},
    "jobs": {"addresses", "calls", "kernel"},
    "layouts": {"kernel"},
    "matmul": {"addresses", "kernel"},
    "recording": {"members"},
    "shapes": {"recording"},
    "simd": {"registers"},
    "progress": {"kernel", "terminal"},
    "workers": {"extras", "kernel"},
} | {
    name: set()
    for name in ("arguments", "extras", "members", "terminal", "lock", "wording", "paths", "registers")
}
UNPICKLES = re.compile(r"^\s*import (pickle|marshal|shelve)|from (pickle|marshal|shelve) import (?!UnpicklingError$)|allow_pickle=True", re.MULTILINE)
EXTRAS = {"tqdm", "threadpoolctl", "matplotlib", "safetensors", "tokenizers", "mpi4py", "transformers", "hypothesis", "rich", "latex2mathml"}
LINES = 350


def name_of(path):
    return path.relative_to(ROOT).as_posix()


def part_of(path):
    """Return the package, or the file, directly under tinytx/ that a file belongs to."""
    relative = path.relative_to(ROOT)
    return (relative.parts[0] if len(relative.parts) > 1 else relative.stem).replace("__init__", "")


def imports_of(tree):
    """Yield (module, line number) of every import, also inside functions; ``from a import b`` is a.b and a."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ((alias.name, node.lineno) for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"line {node.lineno}: imports are absolute"
            yield from ((f"{node.module}.{alias.name}", node.lineno) for alias in node.names)


def parts_imported(path):
    """Yield (part of tinytx, line number) for every import from the package."""
    for module, line in imports_of(ast.parse(path.read_text())):
        root, _, rest = module.partition(".")
        if root == "tinytx":
            part = rest.split(".")[0]
            yield part if part in FLOOR else "", line


def room_of(module):
    """Return the room of tinytx/data that a module is in, "" for one that is in none."""
    room = module.removeprefix("tinytx.data.").partition(".")[0]
    return room if module.startswith("tinytx.data.") and (ROOT / "data" / room).is_dir() else ""


def arrow_is_allowed(source, target):
    """A file imports from floors below its own, and from inside its own part."""
    if source == target:
        return True
    if source in STANDS_APART:
        return target in STANDS_APART[source]
    return FLOOR[target] < FLOOR[source] or (source, target) == ("files", "extras")


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_imports_point_downwards(path):
    source = part_of(path)
    assert source in FLOOR, f"{source} has no floor: give it one here and in design.md"
    for target, line in parts_imported(path):
        assert arrow_is_allowed(source, target), f"{name_of(path)}:{line}: {target or 'tinytx'} is no floor below"


@pytest.mark.parametrize("path", [path for path in FILES if part_of(path) == "data"], ids=name_of)
def test_rooms_of_data_stand_apart(path):
    """Texts, tokenizers and batches know nothing of each other; all may read text files."""
    source = room_of(".".join(["tinytx", *path.relative_to(ROOT).with_suffix("").parts]))
    for module, line in imports_of(ast.parse(path.read_text())):
        if source and module.startswith("tinytx.data"):
            allowed = room_of(module) == source or module.startswith("tinytx.data.reading.")
            assert allowed, f"{name_of(path)}:{line}: {module} is in another room"


@pytest.mark.parametrize(
    ("module", "room"),
    [("tinytx.data.texts.pairs", "texts"), ("tinytx.data.reading", ""), ("tinytx.data", ""), ("tinytx.viz.style", "")],
)
def test_rooms(module, room):
    """The test of the test."""
    assert room_of(module) == room


@pytest.mark.parametrize(
    ("source", "target", "allowed"),
    [
        ("ops", "kernel", True),
        ("ops", "core", False),
        ("layers", "models", False),
        ("training", "decoding", False),
        ("training", "models", True),
        ("data", "ops", False),
        ("data", "files", True),
        ("cli", "data", True),
        ("metrics", "data", False),
        ("training", "metrics", True),
        ("layers", "data", False),
        ("core", "shapes", False),
    ],
)
def test_arrows(source, target, allowed):
    """The test of the test."""
    assert arrow_is_allowed(source, target) == allowed


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_dependencies_stay_where_they_belong(path):
    """Only addresses.py, compiler.py, dots.py, jobs.py, layouts.py, matmul.py and simd.py import numba; torch is an oracle for tests; extras are imported where they are used."""
    tree = ast.parse(path.read_text())
    everywhere = {module.split(".")[0] for module, _ in imports_of(tree)}
    assert "torch" not in everywhere
    assert name_of(path) in ("addresses.py", "compiler.py", "dots.py", "jobs.py", "layouts.py", "matmul.py", "simd.py") or "numba" not in everywhere
    at_top = {module.split(".")[0] for module, _ in imports_of(ast.Module(_at_top(tree), []))}
    assert not at_top & EXTRAS, f"{at_top & EXTRAS} at the top of {name_of(path)}: an extra may be missing"


@pytest.mark.parametrize("path", FILES, ids=name_of)
def test_nothing_is_unpickled(path):
    """What is unpickled can run any program: files are arrays and JSON, and so are messages between machines."""
    assert not UNPICKLES.search(path.read_text())


@pytest.mark.parametrize("line", ["import pickle", "from pickle import loads", "    import shelve", "np.load(f, allow_pickle=True)"])
def test_unpickling_is_found(line):
    """The test of the test."""
    assert UNPICKLES.search(f"x = 1\n{line}\n")


def _at_top(tree):
    """Return the statements that run on import: not those inside functions."""
    inside = {id(node) for function in ast.walk(tree) if isinstance(function, ast.FunctionDef | ast.Lambda)
              for node in ast.walk(function)}  # fmt: skip
    return [node for node in ast.walk(tree) if isinstance(node, ast.Import | ast.ImportFrom) and id(node) not in inside]


@pytest.mark.parametrize("folder", ["tinytx", "tests", "examples", "benchmarks"])
def test_files_are_short(folder):
    lengths = {path: len(path.read_text().splitlines()) for path in (ROOT.parent / folder).rglob("*.py")}
    assert lengths and not {path: n for path, n in lengths.items() if n > LINES}


def test_files_of_tests_have_names_of_their_own():
    """pytest imports them by name alone: of two files of one name it takes neither, in a run of the whole suite."""
    names = [path.name for path in Path(__file__).parent.rglob("test_*.py")]
    assert sorted(names) == sorted(set(names))


# ---------------------------------------------------------------------------------------- layers


ALLOWED_CALLS = {"np.asarray", "np.zeros", "np.zeros_like", "math.prod"}  # a sum may begin with zeros


def arithmetic_in(tree):
    """Yield (line, text) of what a forward or backward of a layer computes beyond + and reshape.

    Products of tape.first_row, and of shapes' entries, count rows and are allowed.
    """
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and function.name in ("forward", "backward"):
            for node in ast.walk(function):
                if isinstance(node, ast.BinOp | ast.AugAssign) and not isinstance(node.op, ast.Add):
                    if "first_row" not in ast.unparse(node) and ".shape[" not in ast.unparse(node):
                        yield node.lineno, ast.unparse(node)
                if isinstance(node, ast.Call) and ast.unparse(node.func).startswith(("np.", "math.")):
                    if ast.unparse(node.func) not in ALLOWED_CALLS:
                        yield node.lineno, ast.unparse(node)


@pytest.mark.parametrize("path", [path for path in FILES if part_of(path) == "layers"], ids=name_of)
def test_layers_do_no_arithmetic(path):
    """If a layer contains * or @, an op is missing."""
    assert not list(arithmetic_in(ast.parse(path.read_text())))


@pytest.mark.parametrize("line", ["y = x * 2", "y = x @ w", "x /= 2", "y = np.exp(x)", "y = x ** 2", "y = x - m"])
def test_arithmetic_is_found(line):
    """The test of the test."""
    assert list(arithmetic_in(ast.parse(f"def forward(self, x):\n    {line}")))
    assert not list(arithmetic_in(ast.parse(f"def __init__(self, x):\n    {line}")))


# ---------------------------------------------------------------------------------------- kernels


def kernels():
    """Yield (name, compiled function) of every loop in the package, private ones too."""
    for module in pkgutil.walk_packages(ops.__path__, "tinytx.ops."):
        for name, value in vars(importlib.import_module(module.name)).items():
            function = value.compiled() if isinstance(value, Kernel) else value
            if isinstance(function, numba.core.registry.CPUDispatcher | AnyLayout) and function.__module__ == module.name:
                yield f"{module.name}.{name}", function


def foreign_calls(tree):
    """Yield (kernel, function) of the calls of functions that a file imports from the package, but for kernel.py and registers.py."""
    imports = [n for n in ast.walk(tree) if isinstance(n, ast.ImportFrom) and (n.module or "").startswith("tinytx")]
    foreign = {name.asname or name.name for n in imports if n.module not in ("tinytx.kernel", "tinytx.calls", "tinytx.registers") for name in n.names}
    for function in ast.walk(tree):
        if isinstance(function, ast.FunctionDef) and any(ast.unparse(d).startswith("kernel") for d in function.decorator_list):
            called = {node.func.id for node in ast.walk(function) if isinstance(node, ast.Call) and isinstance(node.func, ast.Name)}
            yield from ((function.name, name) for name in sorted(called & foreign))


def test_no_kernel_calls_one_of_another_file():
    """Machine code on disk is made again if the kernel's own file changes, or kernel.py or what compiler.py lists: see there."""
    assert [(path.name, call) for path in FILES for call in foreign_calls(ast.parse(path.read_text()))] == []
    wrong = "from tinytx.ops.lstm import _row\n@kernel\ndef _step(a):\n    _row(a)"
    assert list(foreign_calls(ast.parse(wrong))) == [("_step", "_row")]


@pytest.mark.skipif(numba.config.DISABLE_JIT, reason="nothing is compiled")
def test_kernels_have_one_signature_for_each_dtype():
    """Catches layouts, read-only flags and scalar types that reach a kernel: each costs another compilation."""
    for case_of in OPS.values():
        for dtype in (np.float32, np.float64):
            case = case_of(Seeded(0))
            for layout in (np.ascontiguousarray, locked, _spread_out, np.asfortranarray):
                arrays = {name: layout(array) for name, array in cast(case.arrays, dtype).items()}
                y, saved = case.forward(arrays)
                dy = signs(np.random.default_rng(0), y.shape).astype(dtype)
                case.backward(layout(dy) if dy.ndim else dy, saved)
    counts = {name: len(function.signatures) for name, function in kernels()}
    assert len(counts) >= 10
    assert {name: count for name, count in counts.items() if count > 2} == {}
