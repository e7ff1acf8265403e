"""The README is true: its programs run and print what it says, and the code it shows is the code."""

import contextlib
import io
import re
from pathlib import Path

import numpy as np
import pytest

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
