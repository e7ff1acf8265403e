"""The README is true: its programs run and print what it says, and the code it shows is the code."""

import ast
import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

from tinytx.cli import main

ROOT = Path(__file__).parents[1]
README = (ROOT / "README.md").read_text(encoding="utf-8")
BLOCKS = re.findall(r"^```(\w*)\n(.*?)^```$", README, flags=re.DOTALL | re.MULTILINE)
NUMBER = re.compile(r"-?\d+\.?\d*(?:e[-+]?\d+)?")


def test_programs_print_what_the_readme_says():
    """Blocks run in their order, as a reader would type them; numbers may differ in the last digit shown."""
    names, printed = {}, io.StringIO()
    for kind, text in BLOCKS:
        if kind == "python" and "def _backward(" not in text:
            printed = io.StringIO()
            with contextlib.redirect_stdout(printed):
                exec(compile(text, "README.md", "exec"), names)
        elif kind == "output":
            _compare(printed.getvalue(), text)


def _compare(printed, expected):
    """Compare words and numbers, but for rows that passed: which of their entries is the worst is chance."""
    printed, expected = ("\n".join(x for x in t.splitlines() if " PASS " not in x) for t in (printed, expected))
    assert NUMBER.sub("#", printed.strip()).split() == NUMBER.sub("#", expected.strip()).split()
    ours, theirs = (np.array([float(n) for n in NUMBER.findall(text)]) for text in (printed, expected))
    np.testing.assert_allclose(ours, theirs, atol=0.03, rtol=0.03)


def test_the_backward_shown_is_the_backward_used():
    """The README's layer norm is the source's, line for line."""
    source = (ROOT / "tinytx/ops/layer_norm.py").read_text(encoding="utf-8")
    shown = [text for kind, text in BLOCKS if kind == "python" and "def _backward(" in text]
    assert shown and all(part.strip() in source for text in shown for part in text.split("\n\n\n"))


PATHS = sorted(set(re.findall(r"`((?:ops|layers|models|training|benchmarks|examples|tests)/[\w/.]+)`", README)))


@pytest.mark.parametrize("path", PATHS)
def test_files_named_exist(path):
    """A table that names a file which has moved is worse than none."""
    assert (ROOT / path).exists() or (ROOT / "tinytx" / path).exists(), path


# ---------------------------------------------------------------------------------------- imports, printed advice, figures


def missing_imports(blocks):
    """Return the names that a block uses without importing them, but which an earlier block did import."""
    imported, missing = set(), []
    for text in blocks:
        tree = ast.parse(text)
        own = {a.asname or a.name for n in ast.walk(tree) if isinstance(n, ast.Import | ast.ImportFrom) for a in n.names}
        used = {node.id for node in ast.walk(tree) if isinstance(node, ast.Name)}
        missing += sorted((used & imported) - own)
        imported |= own
    return missing


PYTHON = [text for kind, text in BLOCKS if kind == "python" and "def _backward(" not in text]


def test_programs_import_what_they_use():
    """Each can be pasted into a file of its own; values of the one before are used, but no import of it."""
    assert not missing_imports(PYTHON)
    assert missing_imports(["import numpy as np", "np.ones(3)"]) == ["np"]


def test_training_ends_as_the_readme_says(tmp_path, monkeypatch, capsys):
    """The lines shown after the first command, but for their numbers, are the last that it prints."""
    pytest.importorskip("matplotlib")
    (shown,) = [text for kind, text in BLOCKS if not kind and "Validation loss" in text]
    monkeypatch.chdir(tmp_path)
    sizes = "--d-model 16 --n-heads 2 --n-layers 1 --max-len 8 --batch-size 4 --steps 2 --eval-batches 1"
    assert main(["train", *sizes.split()]) == 0
    printed = NUMBER.sub("#", capsys.readouterr().out)
    for line in NUMBER.sub("#", shown.replace("1.40", "1.4000")).strip().split("\n"):
        assert line == "..." or line.rstrip() in printed, f"{line!r} is not in {printed}"


TABLE = README.split("## Expected time and loss")[1].split("\n## ")[0]
ROWS = [line.split("|")[1:4] for line in TABLE.split("\n") if re.match(r"\| `python (?:benchmarks|examples)/", line)]


@pytest.mark.parametrize("row", ROWS, ids=lambda row: row[0].split()[1])
def test_figures_are_those_of_the_scripts(row):
    """A figure stands in the script itself, or in benchmarks/README.md, which says how it was measured."""
    command, _, figures = row
    source = (ROOT / command.split()[1].strip("`")).read_text(encoding="utf-8")
    source += (ROOT / "benchmarks/README.md").read_text(encoding="utf-8")
    for figure in re.findall(r"(?<![\w.])\d+\.\d+(?![\w.])", figures):
        assert figure in source, f"{figure} stands in README alone"
    assert ROWS and len(ROWS) > 8
