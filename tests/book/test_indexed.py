"""Equations of vectors and matrices with the indices that they leave out are worth what they were worth before."""

from dataclasses import replace

import numpy as np
import pytest

from tinytx.book.indexed import Indexed
from tinytx.derivations.evaluate import Environment
from tinytx.derivations.named import BARE, Named
from tinytx.derivations.notation import parse
from tinytx.derivations.tree import Name

SHAPES = {"x": (3,), "u": (3,), "X": (2, 3), "Y": (3, 4)}


class Letters(Indexed):
    """Indices of sums have names of one letter, which derivations know as indices."""

    def _letter(self, length, token):
        super()._letter(length, token)
        return Name("klmnopqrstvw"[len(self.letters)], token=token)


@pytest.mark.parametrize("text", [
    "sum(x)", "mean(x)", "prod(x)", "max(x)", "min(x)", "mean(X)", "mean(x u) u - x", "x u", "x . u", "X . X", "X x", "X Y", "X X^T", "Y^T x",
    "softmax(x)", "softmax(X)", "softmax(X Y)^2", "x . x - 2 |u| . u", "max(X, 0) - e^(X Y) Y^T", "x / (u . u)",
])  # fmt: skip
def test_equations_with_indices_hold(text):
    rng = np.random.default_rng(0)
    env = Environment({name: Named(rng.normal(size=shape), ("0", "1")[: len(shape)]) for name, shape in SHAPES.items()}, {})
    bare = parse(f"z = {text}")
    env.state(bare)
    n = env.values["z"].data.ndim
    at = {axis: Name(letter, token=bare.sides[0].token) for axis, letter in zip(BARE[2 - n :], "ij"[2 - n :], strict=True)}
    indexed = Letters(env.values, {})
    (error,) = env.state(replace(bare, sides=tuple(indexed.written(side, at) for side in bare.sides)))
    assert error < 1e-12
