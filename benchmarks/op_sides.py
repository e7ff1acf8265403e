"""Inputs of each operation, and the operation three times: the library's, PyTorch's and plain NumPy's.

A side is a dictionary of operations, each a pair ``forward(*inputs) -> (y, saved)`` and ``backward(dy, saved) -> gradients``.
"""

from functools import partial
from typing import NamedTuple

import numpy as np

from tinytx import ops
from tinytx.ops import plain
from tinytx.ops.attention_patterns import CAUSAL

P, KEY = 0.1, 42  # of dropout


class Case(NamedTuple):
    """What one operation is called with: arrays whose first axis is the batch, weights, and the gradient of y."""

    rows: tuple
    weights: tuple
    dy: np.ndarray | float  # of a loss: 1

    def shards(self, n):
        """Return n cases that share out the batch."""
        parts = [np.array_split(array, n) for array in self.rows]
        dys = np.array_split(self.dy, n) if np.ndim(self.dy) else [self.dy] * n
        return [Case(rows, self.weights, dy) for *rows, dy in zip(*parts, dys)]


def make_case(name, shape):
    """Return the float32 case of an operation inside a GPT of a `Shape`."""
    v, t, d, h, _, b = shape
    rng = np.random.default_rng(0)

    def array(*sizes):
        return rng.standard_normal(sizes, dtype=np.float32)

    def heads():  # (B, H, T, K), laid out as the linear map before it left them
        return array(b, t, h, d // h).swapaxes(1, 2)

    if name == "linear":
        return Case((array(b, t, d),), (array(d, 4 * d), array(4 * d)), array(b, t, 4 * d))
    if name == "layer_norm":
        return Case((array(b, t, d),), (array(d), array(d)), array(b, t, d))
    if name == "embedding":
        return Case((rng.integers(0, v, (b, t)),), (array(v, d),), array(b, t, d))
    if name == "cross_entropy":
        return Case((array(b, t, v), rng.integers(0, v, (b, t))), (), 1.0)
    if name == "attention":
        return Case((heads(), heads(), heads()), (), heads())
    sizes = {"softmax": (b, h, t, t), "dropout": (b, t, d)}.get(name, (b, t, 4 * d))
    return Case((array(*sizes),), (), array(*sizes))


OURS = {
    "linear": (ops.linear, ops.linear_backward),
    "layer_norm": (ops.layer_norm, ops.layer_norm_backward),
    "gelu": (ops.gelu, ops.gelu_backward),
    "gelu_tanh": (ops.gelu_tanh, ops.gelu_tanh_backward),
    "relu": (ops.relu, ops.relu_backward),
    "softmax": (ops.softmax, ops.softmax_backward),
    "attention": (partial(ops.attention, pattern=CAUSAL), ops.attention_backward),
    "dropout": (partial(ops.dropout, p=P, key=KEY), ops.dropout_backward),
    "embedding": (ops.embedding, ops.embedding_backward),
    "cross_entropy": (ops.cross_entropy, ops.cross_entropy_backward),
}


def numpy_dropout(x):
    """Return dropout of NumPy's own random numbers; a generator cannot go back, so the mask is kept."""
    mask = (np.random.default_rng(KEY).random(x.shape, dtype=np.float32) >= P) * x.dtype.type(1 / (1 - P))
    return x * mask, mask


NUMPY = {name: (getattr(plain, name), getattr(plain, f"{name}_backward")) for name in OURS}
NUMPY["attention"] = (partial(plain.attention, pattern=CAUSAL), plain.attention_backward)
NUMPY["dropout"] = (numpy_dropout, plain.dropout_backward)
NUMPY["cross_entropy"] = (plain.cross_entropy, plain.cross_entropy_backward)


def torch_side():
    """Return PyTorch's operations, on tensors; backward is autograd's."""
    import torch
    import torch.nn.functional as F

    functions = {
        "linear": F.linear,
        "layer_norm": lambda x, weight, bias: F.layer_norm(x, x.shape[-1:], weight, bias),
        "gelu": F.gelu,
        "gelu_tanh": partial(F.gelu, approximate="tanh"),
        "relu": F.relu,
        "softmax": partial(F.softmax, dim=-1),
        "attention": partial(F.scaled_dot_product_attention, is_causal=True),
        "dropout": partial(F.dropout, p=P),
        "embedding": F.embedding,
        "cross_entropy": lambda logits, targets: F.cross_entropy(logits.flatten(0, -2), targets.flatten()),
    }

    def pair(f):
        def forward(*inputs):
            y = f(*inputs)
            return y, (y, [x for x in inputs if x.requires_grad])

        return forward, lambda dy, saved: torch.autograd.grad(*saved, dy)

    return {name: pair(f) for name, f in functions.items()}


def torch_case(name, case):
    """Return a case whose arrays are tensors; a linear weight is (d_out, d_in), as PyTorch likes it."""
    import torch

    def tensor(array):
        return torch.from_numpy(array).requires_grad_(array.dtype.kind == "f")

    torch.manual_seed(KEY)  # dropout's random bits: the same in every run
    weights = [np.ascontiguousarray(w.T) if name == "linear" else w for w in case.weights]
    dy = torch.from_numpy(case.dy) if np.ndim(case.dy) else None
    return Case(tuple(map(tensor, case.rows)), tuple(map(tensor, weights)), dy)


def check(name, pair, case, expected):
    """Raise AssertionError unless y and the gradients are those of the twin, on the same numbers."""
    for got, twin in zip(_results(pair, case), expected, strict=True):
        got = got.T if got.shape != twin.shape else got
        if name == "dropout":  # other random bits: as many zeros, and the others divided by 1 - p
            assert abs(np.mean(got == 0) - P) < 0.02 and abs(np.abs(got).mean() / np.abs(twin).mean() - 1) < 0.02
        else:
            error = np.abs(got - twin).max() / np.abs(twin).max()
            assert error < 1e-4, f"{name}: off by {error:.1e} of the largest value"


def _results(pair, case):
    """Return y and the gradients as NumPy arrays."""
    forward, backward = pair
    y, saved = forward(*case.rows, *case.weights)
    gradients = backward(case.dy, saved)
    gradients = gradients if isinstance(gradients, tuple) else (gradients,)
    return [np.asarray(x.detach() if hasattr(x, "detach") else x) for x in (y, *gradients)]


def twin_results(name, case):
    """Return y and the gradients of the NumPy twin."""
    return _results(NUMPY[name], case)
