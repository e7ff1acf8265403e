"""Calls of an operation that its derivation's example leaves out: rows along two axes, a bias that queries share, rows that do not count.

A derivation has the fewest axes that show its algebra. A backward may be right there, and add up along the first axis only, or forget
what is zero in no row of the example. So exercises are graded with these calls, too.
"""

from dataclasses import dataclass

import numpy as np

ROWS = "rows along two axes"


@dataclass(frozen=True)
class Call:
    """One more way to call an operation.

    Parameters
    ----------
    title : str
        What is special.
    shapes : dict of str to tuple
        Of each argument that has a gradient, in the order in which the backward returns them.
    given : dict
        The other arguments; a function of a random generator is called for its value.
    """

    title: str
    shapes: dict
    given: dict

    def arguments(self, rng):
        """Return random arrays, and the other arguments, both as dicts."""
        arrays = {key: rng.normal(size=shape) for key, shape in self.shapes.items()}
        return arrays, {key: value(rng) if callable(value) else value for key, value in self.given.items()}


def _call(title, given=None, **shapes):
    return Call(title, shapes, given or {})


def _shares(rng):
    weights = rng.random((2, 3, 5)) * np.array([[1, 0, 1], [1, 1, 1]])[..., None]  # one row has no mass
    return weights / np.maximum(weights.sum(axis=-1, keepdims=True), 1e-9)


_TARGETS = np.array([[1, -100, 4], [0, 2, 2]])
_UNCOUNTED = "rows along two axes, one of which does not count"

CALLS = {
    "linear": [_call(ROWS, x=(2, 3, 4), weight=(4, 5), bias=(5,))],
    "softmax": [_call("with a mask", {"mask": np.arange(30).reshape(2, 3, 5) % 4 > 0}, x=(2, 3, 5))],
    "layer_norm": [_call(ROWS, x=(2, 3, 5), weight=(5,), bias=(5,))],
    "rms_norm": [_call(ROWS, x=(2, 3, 5), weight=(5,))],
    "batch_norm": [
        _call("with a mask", {"mask": np.array([[True, False, True], [True, True, True]])}, x=(2, 3, 4), weight=(4,), bias=(4,))
    ],
    "attention": [
        _call("a bias of each head that queries share", q=(2, 3, 4, 5), k=(2, 3, 6, 5), v=(2, 3, 6, 7), bias=(1, 3, 1, 6)),
    ],
    "cross_entropy": [_call(_UNCOUNTED, {"targets": _TARGETS, "label_smoothing": 0.1}, logits=(2, 3, 5))],
    "kl_divergence": [_call(_UNCOUNTED, {"targets": np.abs(_TARGETS) % 5, "pad_id": 0, "label_smoothing": 0.1}, logits=(2, 3, 5))],
    "soft_cross_entropy": [_call(_UNCOUNTED, {"distribution": _shares}, scores=(2, 3, 5))],
    "binary_cross_entropy": [_call("bits along two axes, one of which does not count", {"targets": np.array([[1, -100], [0, 1]])}, logits=(2, 2))],
    "squared_error": [_call(ROWS, {"targets": lambda rng: rng.normal(size=(2, 3, 4))}, y=(2, 3, 4))],
    "embedding": [_call("ids along two axes, one of them twice", {"ids": np.array([[3, 1, 0], [2, 1, 0]])}, weight=(5, 4))],
    "maxout": [_call(ROWS, x=(2, 3, 8))],
    "equivariant_linear": [_call(ROWS, x=(2, 3, 32), weight=(9, 2, 3), bias=(3,))],
    "equivariant_norm": [_call(ROWS, x=(2, 3, 32))],
    "gated_gelu": [_call(ROWS, x=(2, 3, 32))],
}
