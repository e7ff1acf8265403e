r"""The operations to begin with, in the order in which to read them."""

import numpy as np

from tinytx import ops
from tinytx.derivations.scene import Row, Scene, functions
from tinytx.ops.attention_patterns import CAUSAL, FULL


def _run_softmax(values, forward, backward):
    """Masked elements between the allowed ones have no effect."""
    x, dy = (np.insert(values[name], [0, 2], other, axis=-1) for name, other in (("x", np.nan), ("dy", 3.0)))
    y, saved = forward(x, np.isfinite(x))
    dx = backward(dy, saved)
    return {"y": np.delete(y, [0, 3], axis=-1), "dx": np.delete(dx, [0, 3], axis=-1), "saved": np.delete(saved, [0, 3], axis=-1)}


def _run_onto(values, forward, backward):
    """The gradient of what y is added to is dy."""
    y, saved = forward(values["X"], values["W"], values["b"], onto=values["R"])
    return {"Y": y, "dR": values["dY"], "saved": saved}


def _draw_targets(values, rng):
    rows, n_classes = values["x"].shape
    values["t"] = rng.integers(0, n_classes, rows)


def _run_cross_entropy(values, forward, backward):
    """One row more, which is ignored, has no effect."""
    x, t = np.vstack([values["x"], values["x"][:1]]), np.append(values["t"], -100)
    loss, saved = forward(x, t, label_smoothing=values["epsilon"])
    return {"loss": loss, "dx": backward(values["dloss"], saved)[:-1], "saved": saved}


HEADS = "batch heads"
ATTENTION = {"Q": f"q {HEADS} t k", "K": f"k {HEADS} s k", "V": f"v {HEADS} s w", "c": "scale", "B": "bias t s"}
ATTENTION_SIZES = {"batch": 2, "heads": 3, "t": 4, "s": 5, "k": 7, "w": 6}
ATTENTION_EXAMPLE = {"batch": 1, "heads": 1, "t": 2, "s": 3, "k": 2, "w": 2}


def _causal(values, rng):
    """What the causal pattern masks has a score of -inf: the last query sees all keys."""
    t, s = values["B"].shape
    values["B"] = np.where(np.arange(s) <= np.arange(t)[:, None] + s - t, values["B"], -np.inf)


def _attention(values, dy, forward, backward, **settings):
    """Call attention and its backward; where the bias is -inf, the code gets a bias of 0 and the causal pattern."""
    bias, q, k, v = values["B"], values["Q"], values["K"], values["V"]
    pattern = FULL if np.isfinite(bias).all() else CAUSAL
    bias = np.where(np.isfinite(bias), bias, 0.0)[None, None]
    y, saved = forward(q, k, v, bias, scale=values["c"], pattern=pattern, **settings)
    dq, dk, dv, dbias = backward(dy, saved)
    return y, saved, {"dQ": dq, "dK": dk, "dV": dv, "dB": dbias[0, 0]}


def _run_attention(values, forward, backward):
    y, saved, gradients = _attention(values, values["dY"], forward, backward)
    return {"Y": y, "saved": saved} | gradients


def _run_log_sum_exp(values, forward, backward):
    (y, lse), _, gradients = _attention(values, (values["dY"], values["dL"]), forward, backward, log_sum_exp=True)
    return {"Y": y, "L": lse} | gradients


def _draw_dropped(values, rng):
    """The mask of zeros and ones that the operation draws for this key."""
    _, saved, _ = _attention(values, np.zeros_like(values["dY"]), *functions("attention"), dropout=values["p"], key=2)
    values["M"] = (ops.attention_weights(saved) != 0).astype(float)


def _run_dropped(values, forward, backward):
    y, _, gradients = _attention(values, values["dY"], forward, backward, dropout=values["p"], key=2)
    return {"Y": y} | gradients


def _run_grouped(values, forward, backward):
    """The heads of all groups stand beside each other in the code."""
    q, dy = (values[name].reshape(len(values[name]), -1, *values[name].shape[3:]) for name in ("Q", "dY"))
    y, _, gradients = _attention(values | {"Q": q}, dy, forward, backward)
    del gradients["dB"]  # (11) adds up over groups, too
    return {"Y": y.reshape(values["dY"].shape)} | gradients | {"dQ": gradients["dQ"].reshape(values["Q"].shape)}


GROUPS = "batch groups"
GROUPED = {"Q": f"q {GROUPS} heads t k", "K": f"k {GROUPS} s k", "V": f"v {GROUPS} s w", "c": "scale", "B": "bias t s"}

TABLE = {
    "linear": Row([
        Scene(
            {"X": "x n i", "W": "weight i j", "b": "bias j"}, {"Y": "n j"}, {"n": 4, "i": 3, "j": 5}, {"n": 2, "i": 3, "j": 2}, "X W b",
            without=frozenset({5}),
        ),
        Scene(
            {"X": "x n i", "W": "weight i j", "b": "bias j", "R": "onto n j"}, {"Y": "n j"}, {"n": 4, "i": 3, "j": 5},
            {"n": 2, "i": 3, "j": 2}, run=_run_onto, without=frozenset({1, 2, 3, 4}), title="onto another array",
        ),
    ]),
    "softmax": Row([
        Scene({"x": "x rows i", "m": "m rows"}, {"y": "rows i"}, {"rows": 3, "i": 5}, {"rows": 2, "i": 3}, run=_run_softmax, title="m is any number"),
    ]),
    "layer_norm": Row([
        Scene(
            {"x": "x rows i", "w": "weight i", "b": "bias i", "eps": "eps"}, {"y": "rows i"}, {"rows": 4, "i": 5}, {"rows": 2, "i": 3},
            "x w b", counts={"D": "i"}, given={"eps": 0.1},
        ),
    ]),
    "attention": Row([
        Scene(
            ATTENTION, {"Y": f"{HEADS} t w"}, ATTENTION_SIZES, ATTENTION_EXAMPLE, given={"c": 0.7}, draw=_causal, run=_run_attention,
            without=frozenset({12, 13, 14, 15}), title="causal",
        ),
        Scene(
            ATTENTION, {"Y": f"{HEADS} t w", "L": f"{HEADS} t"}, ATTENTION_SIZES, ATTENTION_EXAMPLE, given={"c": 0.7},
            run=_run_log_sum_exp, without=frozenset({6, 13, 14, 15}), title="with log_sum_exp",
        ),
        Scene(
            ATTENTION | {"M": f"M {HEADS} t s", "p": "dropout"}, {"Y": f"{HEADS} t w"}, ATTENTION_SIZES, ATTENTION_EXAMPLE,
            given={"c": 0.7, "p": 0.3}, draw=_draw_dropped, run=_run_dropped, without=frozenset({3, 4, 5, 9, 12, 15}), title="with dropout",
        ),
        Scene(
            GROUPED, {"Y": f"{GROUPS} heads t w"}, ATTENTION_SIZES | {"groups": 8}, ATTENTION_EXAMPLE | {"groups": 1}, given={"c": 0.7},
            draw=_causal, run=_run_grouped, without=frozenset({4, 8, 11, 12, 13, 14}), title="heads in groups",
        ),
    ]),
    "cross_entropy": Row([
        Scene(
            {"x": "logits rows v", "t": "targets rows", "epsilon": "label_smoothing"}, {"loss": ""}, {"rows": 4, "v": 5},
            {"rows": 2, "v": 3}, counts={"N": "rows", "V": "v"}, given={"epsilon": 0.2}, draw=_draw_targets, run=_run_cross_entropy,
        ),
    ]),
}  # fmt: skip
