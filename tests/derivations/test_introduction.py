"""The introduction: its equations hold on random numbers, its gradients are those of complex steps, and it is the first page."""

from pathlib import Path

import numpy as np
import pytest

from tinytx.derivations import introduction
from tinytx.derivations.evaluate import Environment
from tinytx.derivations.named import Named
from tinytx.derivations.notation import parse
from tinytx.derivations.tree import NotationError


def environment(seed=0):
    rng = np.random.default_rng(seed)
    shapes = {"a": (), "x": (3,), "W": (3, 4), "X": (5, 3), "dY": (5, 4), "U": (3, 4)}
    values = {name: Named(rng.normal(size=shape), tuple(map(str, range(len(shape))))) for name, shape in shapes.items()}
    return Environment(values, {"Y": "dY"})


def test_equations_hold():
    found = environment()
    for chain in introduction.page().chains:
        found.state(chain)
    for text in ("da = ∂l/∂a", "dx_i = ∂L/∂x_i", "dW_ij = ∂L/∂W_ij", "dU_ij = ∂loss/∂U_ij"):
        assert max(found.state(parse(text))) < 1e-12


@pytest.mark.parametrize(("right", "wrong"), [("3 du.", "2 du."), ("2 y_j.", "y_j."), ("sum_j dy_j W_ij", "sum_j dy_j"), ("sum_n X_ni", "sum_n X_nj")])
def test_a_mistake_is_found(right, wrong):
    source = Path(introduction.__file__).read_text(encoding="utf-8")
    assert source.count(right) == 1
    found = environment()
    with pytest.raises(NotationError):
        for chain in introduction.reader.read("introduction", source.replace(right, wrong)).chains:
            found.state(chain)
        found.state(parse("dU_ij = ∂loss/∂U_ij"))


def test_numbers_are_in_order():
    assert introduction.page().numbers == list(range(1, 9))
