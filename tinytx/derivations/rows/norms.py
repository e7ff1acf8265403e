r"""Normalisations, but for the first, layer norm."""

import numpy as np

from tinytx.derivations.scene import Row, Scene

COLUMN = {"x": "x t features", "w": "weight features", "b": "bias features", "eps": "eps"}
COLUMN_SIZES, COLUMN_EXAMPLE = {"t": 4, "features": 3}, {"t": 3, "features": 1}


def _draw_variance(values, rng):
    values["v"] = np.abs(values["v"])


def _run_batch_norm(values, forward, backward):
    """One row more, which is padding, has no effect."""
    x, dy = (np.insert(values[name], 1, 9.0, axis=0) for name in ("x", "dy"))
    given = (values["mu"], values["v"]) if "mu" in values else ()
    mask = np.arange(len(x)) != 1
    y, saved = forward(x, values["w"], values["b"], *given, mask=mask, eps=values["eps"])
    dx, dw, db, dmu, dv = backward(dy, saved)
    results = {"y": y[mask], "dx": dx[mask], "dw": dw, "db": db, "saved": saved}
    return results | ({"dmu": dmu, "dv": dv} if given else {})


TABLE = {
    "rms_norm": Row([
        Scene(
            {"x": "x rows i", "w": "weight i", "eps": "eps"}, {"y": "rows i"}, {"rows": 4, "i": 5}, {"rows": 2, "i": 3},
            "x w", counts={"D": "i"}, given={"eps": 0.1},
        ),
    ]),
    "batch_norm": Row([
        Scene(
            COLUMN, {"y": "t features"}, COLUMN_SIZES, COLUMN_EXAMPLE, counts={"N": "t"}, given={"eps": 0.1},
            run=_run_batch_norm, without=frozenset({6}), title="mean and variance of the batch",
        ),
        Scene(
            COLUMN | {"mu": "mean features", "v": "variance features"}, {"y": "t features"}, COLUMN_SIZES, COLUMN_EXAMPLE,
            counts={"N": "t"}, given={"eps": 0.1}, draw=_draw_variance, run=_run_batch_norm, without=frozenset({1, 5}),
            title="given mean and variance",
        ),
    ]),
}  # fmt: skip
