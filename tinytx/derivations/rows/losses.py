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


TABLE = {
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
}  # fmt: skip
