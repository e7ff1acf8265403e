"""The readable operations of plain.py are the fast ones: same arguments, same results, and every page names its twin."""

import functools
import importlib
import inspect
import re
import sys
from pathlib import Path

import numpy as np
import op_cases
import pytest
from cases import Seeded, signs

import tinytx
from tinytx import ops
from tinytx.ops import plain

WITH_BACKWARD = sorted(name for name in ops.__all__ if f"{name}_backward" in ops.__all__)


@pytest.fixture(scope="module")
def plain_cases():
    """Return the table of cases once more, with the operations of plain.py in the place of the library's."""
    spec = importlib.util.spec_from_file_location("plain_op_cases", op_cases.__file__)
    module = importlib.util.module_from_spec(spec)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(tinytx, "ops", plain)
        patch.delitem(sys.modules, "loss_op_cases")  # it imports operations, too, and would keep the library's
        spec.loader.exec_module(module)
        assert module.ops is sys.modules["loss_op_cases"].ops is plain
    return module.OPS


def results(case, dy):
    y, saved = case.forward(case.arrays)
    return {"y": y} | case.backward(dy, saved)


@pytest.mark.parametrize("name", op_cases.OPS)
@pytest.mark.parametrize("seed", range(4))
def test_plain_is_equal(name, seed, plain_cases):
    """Outputs and every gradient; a random dy, so that no two of its entries can be swapped."""
    fast, readable = op_cases.OPS[name](Seeded(seed)), plain_cases[name](Seeded(seed))
    y, _ = fast.forward(fast.arrays)
    dy = signs(np.random.default_rng(seed), np.shape(y))
    expected = results(fast, dy)
    for key, array in results(readable, dy).items():
        np.testing.assert_allclose(array, expected[key], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", op_cases.OPS)
def test_the_readable_operations_are_called(name, plain_cases, monkeypatch):
    """Catches a table whose cases call the library's operations, which are equal to themselves."""
    called = []
    for each in plain.__dict__:
        if not each.startswith("_") and inspect.isfunction(getattr(plain, each)):
            monkeypatch.setattr(plain, each, _noted(getattr(plain, each), called))
    case = plain_cases[name](Seeded(0))
    results(case, np.ones(np.shape(case.forward(case.arrays)[0])))
    is_itself = str(getattr(case.op_backward, "__module__", "")).startswith("tinytx.ops.plain")  # a case without options has the functions themselves
    assert is_itself or any(each.endswith("_backward") for each in called), called


def _noted(function, called):
    @functools.wraps(function)
    def noted(*arguments, **settings):
        called.append(function.__name__)
        return function(*arguments, **settings)

    return noted


def test_another_gradient_is_refused(plain_cases, monkeypatch):
    """The test of the test: (7) of layer norm without its last term."""
    def wrong(dy, saved):
        _, weight, _, r = saved
        dn = weight * dy
        return r * (dn - dn.mean(axis=-1, keepdims=True)), *right(dy, saved)[1:]

    right = plain.layer_norm_backward
    monkeypatch.setattr(plain, "layer_norm_backward", wrong)
    with pytest.raises(AssertionError):
        test_plain_is_equal("layer_norm", 0, plain_cases)


@pytest.mark.parametrize("name", WITH_BACKWARD)
def test_every_page_names_its_readable_twin(name):
    """And both passes of it exist, with the parameters of the fast ones, but for those that only divide up the work."""
    page = importlib.import_module(getattr(ops, name).__module__).__doc__
    assert f"``{name}``" in page and "``plain.py``" in page
    for function in (name, f"{name}_backward"):
        wanted = [p for p in inspect.signature(getattr(ops, function)).parameters if p not in ("parts", "run", "out")]
        taken = inspect.signature(getattr(plain, function)).parameters
        assert list(taken) == wanted or "options" in taken


def test_derivatives_have_a_sign_of_their_own():
    """dx is a gradient and ∂y/∂x a derivative: one sign for both, as in dy_i (dy_i/dx_j), cannot be read."""
    fraction, root = re.compile(r"\bd\w+/d[a-z]"), Path(tinytx.__file__).parent
    assert fraction.search("sum_i dy_i (dy_i/dx_j)") and not fraction.search("sum_i dy_i (∂y_i/∂x_j) and/or")
    for path in sorted(root.rglob("*.py")):
        found = [line for line in path.read_text(encoding="utf-8").split("\n") if fraction.search(line)]
        assert not found, f"{path.relative_to(root)}: {found}"
