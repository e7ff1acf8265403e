"""Cases of the losses, whose y is a number: a part of `op_cases`."""

import numpy as np
from cases import OpCase

from tinytx import ops


def cross_entropy(make, ignoring=False):
    b, t, v = make.sizes(3)
    v += 1  # a loss over one class is 0, and its finite differences are rounding
    targets = make.ids(v, b, t)
    options = {}
    if ignoring:
        targets[make.integers(0, 1, (b, t)) == 1] = -7
        targets[-1, -1] = 0  # one that counts
        options = {"ignore_index": -7, "label_smoothing": 0.2, "count": make.choice(None, 50)}

    def forward(logits):
        loss, saved = ops.cross_entropy(logits, targets, **options)
        return np.asarray(loss, logits.dtype), saved

    case = OpCase(forward, ops.cross_entropy_backward, {"logits": make.array(b, t, v)}, batch=("logits",))
    case.facts = options | {"targets": targets}
    return case


def linear_cross_entropy(make):
    b, t, d, v = make.sizes(4)
    v += 1
    targets = make.ids(v, b, t)
    targets[make.integers(0, 2, (b, t)) == 1] = -7
    targets[-1, -1] = 0  # one that counts
    chunk = make.choice(1, 2 * v, 1000)
    options = {"ignore_index": -7, "label_smoothing": 0.2, "count": make.choice(None, 50), "chunk": chunk}

    def forward(x, weight):
        loss, saved = ops.linear_cross_entropy(x, weight, targets, **options)
        return np.asarray(loss, x.dtype), saved

    arrays = {"x": make.array(b, t, d), "weight": make.array(d, v)}
    case = OpCase(forward, ops.linear_cross_entropy_backward, arrays, batch=("x",))
    case.facts = options | {"targets": targets}
    return case


def kl_divergence(make, smoothing=0.0):
    b, t, v = make.sizes(3)
    v += 2  # two words beside the target and padding
    pad_id = make.integers(0, v - 1)
    targets = make.ids(v, b, t)
    targets[make.integers(0, 2, (b, t)) == 1] = pad_id
    targets[-1, -1] = (pad_id + 1) % v  # one that counts
    options = {"pad_id": pad_id, "label_smoothing": smoothing, "count": make.choice(None, 50)}

    def forward(logits):
        loss, saved = ops.kl_divergence(logits, targets, **options)
        return np.asarray(loss, logits.dtype), saved

    case = OpCase(forward, ops.kl_divergence_backward, {"logits": make.array(b, t, v)}, batch=("logits",))
    case.facts = options | {"targets": targets}
    return case


def logistic_rows(make):
    """Rows that occur several times, and places where nothing is asked."""
    n, k, v, d = make.sizes(4)
    rows, labels = make.integers(-1, v - 1, (n, k)), make.integers(0, 1, (n, k))
    rows[0, 0] = 0  # one that is asked
    options = {"count": make.choice(None, 50)}

    def forward(h, table):
        loss, saved = ops.logistic_rows(h, table, rows, labels, **options)
        return np.asarray(loss, h.dtype), saved

    arrays = {"h": make.array(n, d), "table": make.array(v, d)}
    case = OpCase(forward, ops.logistic_rows_backward, arrays, batch=("h",))
    case.facts = options | {"rows": rows, "labels": labels}
    return case


def glove_loss(make):
    """Words that occur in several pairs; counts below and above x_max."""
    n, v, v2, d = make.sizes(4)
    facts = {"words": make.integers(0, v - 1, (n,)), "contexts": make.integers(0, v2 - 1, (n,)), "x": np.exp(make.array(n))}
    options = {"x_max": make.choice(0.5, 2.0), "alpha": make.choice(0.75, 1.0), "count": make.choice(None, 50)}

    def forward(w, c, bias_w, bias_c):
        loss, saved = ops.glove_loss(w, c, bias_w, bias_c, facts["words"], facts["contexts"], facts["x"].astype(w.dtype), **options)
        return np.asarray(loss, w.dtype), saved

    arrays = {"w": make.array(v, d), "c": make.array(v2, d), "bias_w": make.array(v), "bias_c": make.array(v2)}
    case = OpCase(forward, ops.glove_loss_backward, arrays)
    case.facts = options | facts
    return case


def tsne(make, exaggeration=1.0):
    n = make.sizes(1)[0] + 2
    near = np.abs(make.array(n, n)) * (1 - np.eye(n))
    near[0, 1] = near[1, 0] = 0  # two points that are not near at all
    p = (near + near.T) / near.sum() / 2

    def forward(y):
        loss, saved = ops.tsne(y, p.astype(y.dtype), exaggeration=exaggeration)
        return np.asarray(loss, y.dtype), saved

    case = OpCase(forward, ops.tsne_backward, {"y": make.array(n, 2, scale=make.choice(0.1, 1.0, 5.0))})
    case.facts = {"p": p, "exaggeration": exaggeration}
    return case


CASES = {
    "cross_entropy": cross_entropy,
    "cross_entropy ignoring, smoothed": lambda make: cross_entropy(make, ignoring=True),
    "linear_cross_entropy": linear_cross_entropy,
    "kl_divergence": kl_divergence,
    "kl_divergence smoothed": lambda make: kl_divergence(make, smoothing=0.2),
    "logistic_rows": logistic_rows,
    "glove_loss": glove_loss,
    "tsne": tsne,
    "tsne exaggerated": lambda make: tsne(make, exaggeration=12.0),
}
