"""The cases of recurrent operations, of the scores of their attention, of convolution, batches, pairs, mixes and a memory: part of `op_cases.OPS`."""

import numpy as np
from cases import OpCase

CELLS = {  # name: parts of the matrices, and of a bias; biases; states
    "rnn": (1, 1, ("bias",), ("h",)),
    "gru": (3, 3, ("bias_x", "bias_h"), ("h",)),
    "original_gru": (3, 3, ("bias",), ("h",)),
    "lstm": (4, 4, ("bias",), ("h", "c")),
    "mlstm": (5, 4, ("bias",), ("h", "c")),
}


def recurrent(ops, name, make, padded=False, reverse=False):
    """The outputs and, behind them as more positions, the final states: (B, T + 1, R), or (B, T + 2, R) of an LSTM.

    ``ops`` is `tinytx.ops`, or what stands in its place.
    """
    op, op_backward, (parts, biased, biases, states) = getattr(ops, name), getattr(ops, f"{name}_backward"), CELLS[name]
    b, t, d, r = make.sizes(4)
    mask = np.arange(t) < make.integers(1, t, (b, 1)) if padded else None
    arrays = {"x": make.array(b, t, d), "weight_x": make.array(d, parts * r, scale=0.5)}
    arrays |= {"weight_h": make.array(r, parts * r, scale=0.5)}
    arrays |= {bias: make.array(biased * r, scale=0.5) for bias in biases}
    arrays |= {state: make.array(b, r, scale=0.5 if state == "h" else 1.0) for state in states}

    def forward(*arrays, **options):
        (y, *final), saved = op(*arrays, **options)
        return np.concatenate([y, *(array[:, None] for array in final)], axis=1), saved

    def backward(dy, saved):
        if not (isinstance(dy, np.ndarray) and dy.ndim > 1):
            return op_backward((dy,) * (1 + len(states)), saved)
        cut = dy.shape[1] - len(states)
        return op_backward((dy[:, :cut], *(dy[:, cut + n] for n in range(len(states)))), saved)

    options = {"mask": mask} | ({"reverse": True} if reverse else {})
    return OpCase(forward, backward, arrays, batch=("x", *states), **options)


def additive_scores(ops, make, groups=1):
    b, g, t, s, a = make.sizes(5)
    h = groups * g
    arrays = {"q": make.array(b, h, t, a, scale=0.5), "k": make.array(b, g, s, a, scale=0.5), "weight": make.array(h, a)}
    return OpCase(ops.additive_scores, ops.additive_scores_backward, arrays, batch=("q", "k"))


def conv1d(ops, make, biased=True, ends=False):
    """Sequences of one output, and longer ones; steps and distances that leave positions out."""
    b, more, k, d_in, d_out = make.sizes(5)
    step, distance = make.integers(1, 2), make.integers(1, 2)
    reach = distance * (k - 1)
    left, right = (make.integers(0, reach), make.integers(0, reach)) if ends else (0, 0)
    arrays = {"x": make.array(b, max(1, reach + more - left - right), d_in), "weight": make.array(k, d_in, d_out)}
    arrays |= {"bias": make.array(d_out)} if biased else {}
    options = {"left": left, "right": right, "step": step, "distance": distance}
    backward = ops.conv1d_backward if biased else lambda dy, saved: ops.conv1d_backward(dy, saved)[:2]
    return OpCase(ops.conv1d, backward, arrays, batch=("x",), **options)


def batch_norm(ops, make, padded=False, population=False):
    """Rows depend on each other, so that x has no batch, unless the statistics are given."""
    b, t, d = make.sizes(3)
    t += 2  # rows at least: those of a feature of two are +-1, whatever they are
    arrays = {"x": make.array(b, t, d), "weight": make.array(d), "bias": make.array(d)}
    arrays |= {"mean": make.array(d), "variance": 1 + make.array(d) ** 2} if population else {}
    mask = np.arange(t) < make.integers(3, t, (b, 1)) if padded else None

    def backward(dy, saved):
        return tuple(gradient for gradient in ops.batch_norm_backward(dy, saved) if gradient is not None)

    batch = ("x",) if population else ()
    return OpCase(ops.batch_norm, backward, arrays, batch=batch, mask=mask, eps=make.choice(0.1, 1e-2, 1e-5))


def product_scores(ops, make, scale=None):
    b, h, t, s, width = make.sizes(5)
    arrays = {"q": make.array(b, h, t, width), "k": make.array(b, h, s, width)}
    return OpCase(ops.product_scores, ops.product_scores_backward, arrays, batch=("q", "k"), scale=scale)


def relative_scores(ops, make, ahead=0, scale=None):
    """More keys than queries, as with a memory; distances below 0 have ``ahead`` vectors."""
    b, h, t, more, width = make.sizes(5)
    arrays = {"q": make.array(b, h, t, width), "r": make.array(h, ahead + t + more - 1, width)}
    return OpCase(ops.relative_scores, ops.relative_scores_backward, arrays, batch=("q",), ahead=ahead, scale=scale)


def segment_scores(ops, make, shared=False, scale=None):
    """Three kinds of pairs, for each row or for all."""
    b, h, t, s, width = make.sizes(5)
    kinds = make.integers(0, 2, (1 if shared else b, t, s))

    def forward(q, u):
        return ops.segment_scores(q, u, kinds, scale=scale)

    arrays = {"q": make.array(b, h, t, width), "u": make.array(h, 3, width)}
    case = OpCase(forward, ops.segment_scores_backward, arrays, batch=("q",) if shared else ())
    case.facts = {"kinds": kinds, "scale": scale}
    return case


def address(ops, make):
    """Two rows at least: the softmax of one is 1. Two numbers in a row at least: the cosine of one is 1 or -1."""
    b, h, n, width = make.sizes(4)
    n, width = n + 1, width + 1
    names = ("strength", "gate", "shift", "sharpness")
    arrays = {"k": make.array(b, h, width)} | {name: make.array(b, h, *[3] * (name == "shift")) for name in names}
    arrays |= {"before": 2 + make.array(b, h, n), "memory": make.array(b, n, width)}  # positive, also after a step
    return OpCase(ops.address, ops.address_backward, arrays, batch=tuple(arrays), reach=0.05)


def read_memory(ops, make):
    b, h, n, width = make.sizes(4)
    arrays = {"w": make.array(b, h, n), "memory": make.array(b, n, width)}
    return OpCase(ops.read_memory, ops.read_memory_backward, arrays, batch=tuple(arrays))


def write_memory(ops, make):
    b, n, width = make.sizes(3)
    arrays = {"memory": make.array(b, n, width), "w": make.array(b, n)}
    arrays |= {"erase": make.array(b, width), "add": make.array(b, width)}
    return OpCase(ops.write_memory, ops.write_memory_backward, arrays, batch=tuple(arrays))


def binary_cross_entropy(ops, make):
    b, t, bits = make.sizes(3)
    targets = make.integers(0, 1, (b, t, bits))
    targets[make.integers(0, 2, (b, t)) == 1] = -7
    targets[-1, -1] = 0  # some that count
    options = {"ignore_index": -7, "count": make.choice(None, 50)}

    def forward(logits):
        loss, saved = ops.binary_cross_entropy(logits, targets, **options)
        return np.asarray(loss, logits.dtype), saved

    arrays = {"logits": make.array(b, t, bits, scale=2.0)}
    case = OpCase(forward, ops.binary_cross_entropy_backward, arrays, batch=("logits",))
    case.facts = options | {"targets": targets}
    return case


def soft_cross_entropy(ops, make, masked=False):
    """Rows of shares, some of mass 0, some of another mass than 1; the last one has mass."""
    b, t, s = make.sizes(3)
    mask = make.integers(0, 3, (b, t, s)) > 0 if masked else np.ones((b, t, s), bool)
    mask[-1, -1, -1] = True
    shares = make.integers(0, 3, (b, t, s)) * mask * (make.integers(0, 2, (b, t, 1)) > 0) / 4
    shares[-1, -1, -1] = 0.5
    options = {"mask": mask if masked else None, "count": make.choice(None, 50)}

    def forward(scores):
        loss, saved = ops.soft_cross_entropy(scores, shares.astype(scores.dtype), **options)
        return np.asarray(loss, scores.dtype), saved

    case = OpCase(forward, ops.soft_cross_entropy_backward, {"scores": make.array(b, t, s, scale=2.0)}, batch=("scores",))
    case.facts = options | {"distribution": shares}
    return case


def pair_sum(ops, make):
    b, t, s, d = make.sizes(4)
    return OpCase(ops.pair_sum, ops.pair_sum_backward, {"a": make.array(b, t, d), "b": make.array(b, s, d)}, batch=("a", "b"))


def scalar_mix(ops, make):
    """Any number of axes in front of the layers'."""
    n, *sizes, d = make.sizes(4)
    arrays = {"layers": make.array(*sizes[: make.integers(0, 2)], n, d), "scores": make.array(n), "gamma": make.array(1)}
    batch = ("layers",) if arrays["layers"].ndim > 2 else ()
    return OpCase(ops.scalar_mix, ops.scalar_mix_backward, arrays, batch=batch)


def activation_penalty(ops, make):
    arrays = dict.fromkeys(("raw", "dropped"), make.sizes(3))
    options = {"alpha": make.choice(0.0, 0.7, 2.0), "beta": make.choice(0.3, 1.0)}
    arrays = {name: make.array(*sizes) for name, sizes in arrays.items()}
    return OpCase(ops.activation_penalty, ops.activation_penalty_backward, arrays, batch=("raw", "dropped"), **options)


def word_dropout(ops, make):
    """One word, so that all rows are dropped or none: which words are is a test of its own."""
    b, t, d = make.sizes(3)
    options = {"ids": np.full((b, t), make.integers(0, 9)), "p": make.choice(0.5, 0.1), "key": make.integers(0, 2**63 - 1)}
    return OpCase(ops.word_dropout, ops.word_dropout_backward, {"x": make.array(b, t, d)}, **options)


def cases(ops):
    """Return {name: function (Maker) -> OpCase}. Padding and direction are one code for all cells."""
    return {
        "rnn": lambda make: recurrent(ops, "rnn", make),
        "gru": lambda make: recurrent(ops, "gru", make),
        "gru padded, reversed": lambda make: recurrent(ops, "gru", make, padded=True, reverse=True),
        "original_gru": lambda make: recurrent(ops, "original_gru", make),
        "lstm": lambda make: recurrent(ops, "lstm", make),
        "lstm padded": lambda make: recurrent(ops, "lstm", make, padded=True),
        "conv1d": lambda make: conv1d(ops, make),
        "conv1d with ends": lambda make: conv1d(ops, make, biased=False, ends=True),
        "batch_norm": lambda make: batch_norm(ops, make),
        "batch_norm padded": lambda make: batch_norm(ops, make, padded=True),
        "batch_norm population": lambda make: batch_norm(ops, make, population=True),
        "activation_penalty": lambda make: activation_penalty(ops, make),
        "word_dropout": lambda make: word_dropout(ops, make),
        "pair_sum": lambda make: pair_sum(ops, make),
        "scalar_mix": lambda make: scalar_mix(ops, make),
        "additive_scores": lambda make: additive_scores(ops, make),
        "additive_scores groups": lambda make: additive_scores(ops, make, groups=2),
        "product_scores": lambda make: product_scores(ops, make),
        "product_scores scaled": lambda make: product_scores(ops, make, scale=0.7),
        "relative_scores": lambda make: relative_scores(ops, make),
        "relative_scores both signs": lambda make: relative_scores(ops, make, ahead=2, scale=0.7),
        "segment_scores": lambda make: segment_scores(ops, make),
        "segment_scores shared": lambda make: segment_scores(ops, make, shared=True, scale=0.7),
        "address": lambda make: address(ops, make),
        "read_memory": lambda make: read_memory(ops, make),
        "write_memory": lambda make: write_memory(ops, make),
        "binary_cross_entropy": lambda make: binary_cross_entropy(ops, make),
        "soft_cross_entropy": lambda make: soft_cross_entropy(ops, make),
        "soft_cross_entropy masked": lambda make: soft_cross_entropy(ops, make, masked=True),
        "mlstm padded": lambda make: recurrent(ops, "mlstm", make, padded=True),
    }
