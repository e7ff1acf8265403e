r"""Losses, but for the first, cross-entropy."""

import numpy as np

from tinytx.derivations.scene import Row, Scene

PAD = 2


def _draw_words(values, rng):
    """Targets that are no padding."""
    rows, n_words = values["x"].shape
    values["t"] = (PAD + 1 + rng.integers(0, n_words - 1, rows)) % n_words


def _run_kl_divergence(values, forward, backward):
    """One row more, whose target is padding, has no effect."""
    x, t = np.vstack([values["x"], values["x"][:1]]), np.append(values["t"], PAD)
    loss, saved = forward(x, t, pad_id=PAD, label_smoothing=values["epsilon"])
    return {"loss": loss, "dx": backward(values["dloss"], saved)[:-1], "saved": saved}


def _draw_bits(values, rng):
    values["t"] = rng.permutation(np.arange(len(values["x"])) % 2)


def _run_bits(values, forward, backward):
    """One bit more, which is ignored, has no effect."""
    loss, saved = forward(np.append(values["x"], 0.3), np.append(values["t"], -100))
    return {"loss": loss, "dx": backward(values["dloss"], saved)[:-1], "saved": saved}


def _draw_shares(values, rng):
    values["G"] = np.abs(values["G"])


def _run_shares(values, forward, backward):
    """A column that is masked and a row without mass have no effect."""
    x, shares = np.pad(values["x"], [(0, 1), (1, 0)], constant_values=9.0), np.pad(values["G"], [(0, 1), (1, 0)])
    loss, saved = forward(x, shares, np.arange(x.shape[1]) > 0)
    return {"loss": loss, "dx": backward(values["dloss"], saved)[:-1, 1:], "saved": saved}


def _draw_labels(values, rng):
    """A row of the table occurs several times, as two labels of a vector, too."""
    n_rows, shape = len(values["C"]), values["j"].shape
    values["j"] = rng.integers(0, n_rows - 1, shape)
    values["j"][0, -1] = values["j"][0, 0]
    values["t"] = rng.permutation(np.arange(values["j"].size) % 2).reshape(shape)


def _draw_counts(values, rng):
    """Words in several pairs; one count is above x_max."""
    n = len(values["X"])
    for key, table in (("i", "W"), ("j", "C")):
        values[key] = rng.integers(0, len(values[table]), n)
        values[key][-1] = values[key][0]
    values["X"] = np.arange(1, n + 1) * 0.6


def _run_glove_loss(values, forward, backward):
    tables = [values[key] for key in ("W", "C", "b", "b'")]
    pairs = [values[key] for key in ("i", "j", "X")]
    loss, saved = forward(*tables, *pairs, x_max=values["x_max"], alpha=values["alpha"])
    return {"L": loss, "saved": saved} | dict(zip(("dW", "dC", "db", "db'"), backward(values["dL"], saved), strict=True))


def _draw_affinities(values, rng):
    """Symmetric, 0 on the diagonal, adding up to 1."""
    p = np.abs(values["p"])
    p = (p + p.T) * (1 - np.eye(len(p)))
    values["p"] = p / p.sum()


def _draw_widths(values, rng):
    """The b of each point that gives the perplexity, by bisection."""
    d = ((values["x"][:, None] - values["x"]) ** 2).sum(axis=2)
    others = d[~np.eye(len(d), dtype=bool)].reshape(len(d), -1)
    low, high = np.zeros(len(d)), np.full(len(d), 1e3)
    for _ in range(100):
        b = (low + high) / 2
        weights = np.exp(-b[:, None] * (others - others.min(axis=1, keepdims=True)))
        q = weights / weights.sum(axis=1, keepdims=True)
        is_wide = -(q * np.log(np.maximum(q, 1e-300))).sum(axis=1) > np.log(values["perplexity"])
        low, high = np.where(is_wide, b, low), np.where(is_wide, high, b)
    values["b"] = b


def _run_affinities(values, forward, backward):
    return {"p": forward(values["x"], values["perplexity"])}


def _draw_chunks(values, rng):
    values["t"] = rng.integers(0, values["W"].shape[1], values["t"].shape)


def _run_chunks(values, forward, backward):
    """The code gets all rows below each other, and as many logits at a time as a chunk has."""
    x, weight, t = values["X"], values["W"], values["t"]
    chunk = x.shape[1] * weight.shape[1]
    loss, saved = forward(x.reshape(-1, x.shape[2]), weight, t.ravel(), count=values["N"], chunk=chunk)
    dx, dweight = backward(values["dloss"], saved)
    return {"loss": loss, "dX": dx.reshape(x.shape), "dW": dweight, "saved": saved}


TABLE = {
    "linear_cross_entropy": Row([
        Scene(
            {"X": "x c r d", "W": "weight d v", "t": "targets c r", "N": "count"}, {"loss": ""}, {"c": 2, "r": 3, "d": 4, "v": 5},
            {"c": 2, "r": 2, "d": 1, "v": 3}, given={"N": 7}, draw=_draw_chunks, run=_run_chunks,
        ),
    ]),
    "affinities": Row([
        Scene(
            {"x": "x i c", "b": "b i", "perplexity": "perplexity"}, {"p": "i i"}, {"i": 6, "c": 3}, {"i": 4, "c": 2},
            counts={"N": "i"}, given={"perplexity": 2.5}, draw=_draw_widths, run=_run_affinities,
        ),
    ], no_gradient="the points are data, and their nearness is made once"),
    "tsne": Row([
        Scene(
            {"y": "y i c", "p": "p i i", "a": "exaggeration"}, {"L": ""}, {"i": 5, "c": 2}, {"i": 3, "c": 2}, "y",
            given={"a": 1.7}, draw=_draw_affinities,
        ),
    ]),
    "squared_error": Row([
        Scene(
            {"y": "y n i", "t": "targets n i"}, {"L": ""}, {"n": 4, "i": 3}, {"n": 2, "i": 3}, "y", counts={"N": "n"},
        ),
    ]),
    "binary_cross_entropy": Row([
        Scene(
            {"x": "logits bits", "t": "targets bits"}, {"loss": ""}, {"bits": 5}, {"bits": 4}, counts={"N": "bits"},
            draw=_draw_bits, run=_run_bits,
        ),
    ]),
    "soft_cross_entropy": Row([
        Scene(
            {"x": "scores rows s", "G": "distribution rows s"}, {"loss": ""}, {"rows": 4, "s": 5}, {"rows": 2, "s": 3},
            counts={"N": "rows"}, draw=_draw_shares, run=_run_shares,
        ),
    ]),
    "kl_divergence": Row([
        Scene(
            {"x": "logits rows v", "t": "targets rows", "epsilon": "label_smoothing", "pad": "pad_id"}, {"loss": ""},
            {"rows": 4, "v": 5}, {"rows": 2, "v": 4}, counts={"N": "rows", "V": "v"}, given={"epsilon": 0.2, "pad": PAD},
            draw=_draw_words, run=_run_kl_divergence,
        ),
    ]),
    "logistic_rows": Row([
        Scene(
            {"h": "h vectors d", "C": "table v d", "j": "rows vectors k", "t": "labels vectors k"}, {"loss": ""},
            {"vectors": 3, "d": 2, "v": 5, "k": 4}, {"vectors": 1, "d": 2, "v": 4, "k": 3}, "h C", counts={"N": "vectors"},
            draw=_draw_labels,
        ),
    ]),
    "glove_loss": Row([
        Scene(
            {
                "W": "w v d", "C": "c v d", "b": "bias_w v", "b'": "bias_c v", "i": "words n", "j": "contexts n", "X": "x n",
                "x_max": "x_max", "alpha": "alpha",
            },
            {"L": ""}, {"v": 5, "d": 3, "n": 6}, {"v": 3, "d": 2, "n": 4}, counts={"N": "n"},
            given={"x_max": 2.5, "alpha": 0.75}, draw=_draw_counts, run=_run_glove_loss,
        ),
    ], whole=frozenset({"x_max"})),
}  # fmt: skip
