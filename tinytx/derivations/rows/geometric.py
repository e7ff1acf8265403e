r"""Operations on multivectors."""

import numpy as np

from tinytx.derivations.scene import Row, Scene
from tinytx.ops.multivector import EUCLIDEAN


def _run_displacement(values, forward, backward):
    """A point in a multivector, whose other numbers have no effect."""
    t, x = values["t"], np.full((len(values["t"]), 16), 0.3)
    x[:, 11], x[:, 12], x[:, 13], x[:, 14] = -t[:, 2], t[:, 1], -t[:, 0], values["w"]
    y, saved = forward(x, values["p"])
    dx, dp = backward(values["dy"], saved)
    return {"y": y, "dt": dx[:, [13, 12, 11]] * np.array([-1, 1, -1]), "dw": dx[:, 14], "dp": dp, "saved": saved}


def _draw_euclidean(values, rng):
    values["E"] = np.isin(np.arange(16), EUCLIDEAN).astype(float)


def _run_equivariant_norm(values, forward, backward):
    x = values["x"]
    y, saved = forward(x.reshape(len(x), -1), values["eps"])
    dx = backward(values["dy"].reshape(len(x), -1), saved)
    return {"y": y.reshape(x.shape), "dx": dx.reshape(x.shape), "saved": saved}


TABLE = {
    "equivariant_norm": Row([
        Scene(
            {"x": "x rows c i", "E": "E i", "eps": "eps"}, {"y": "rows c i"}, {"rows": 2, "c": 3, "i": 16},
            {"rows": 1, "c": 1, "i": 16}, counts={"C": "c"}, given={"eps": 0.1}, draw=_draw_euclidean, run=_run_equivariant_norm,
        ),
    ]),
    "gated_gelu": Row([Scene({"x": "x rows i"}, {"y": "rows i"}, {"rows": 3, "i": 16}, {"rows": 1, "i": 16}, "x")]),
    "displacement": Row([
        Scene(
            {"t": "t points i", "w": "w points", "p": "origin points i"}, {"y": "points i"}, {"points": 4, "i": 3},
            {"points": 2, "i": 3}, run=_run_displacement,
        ),
    ]),
}  # fmt: skip
