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


def _run_distance(of_keys):
    """Return what calls the operation for points, of queries or keys: (l, s, z) of the page from its features, and back."""

    def run(values, forward, backward):
        x = np.zeros((len(values["t"]), 16))
        x[:, 11:14], x[:, 14] = values["t"], values["w"]
        y, saved = forward(x, of_keys=of_keys, eps=values["eps"])
        f, df = y[:, 8:], np.column_stack([values["dl"], values["ds"], values["dz"]])
        if of_keys:
            f, df = f[:, [1, 0, 2, 3, 4]] / [-1, -1, 2, 2, 2], df[:, [1, 0, 2, 3, 4]] / [-1, -1, 2, 2, 2]
        dx = backward(np.pad(df, ((0, 0), (8, 0))), saved)
        return {"l": f[:, 0], "s": f[:, 1], "z": f[:, 2:], "dt": dx[:, 11:14], "dw": dx[:, 14], "saved": saved}

    return run


TABLE = {
    "distance_features": Row([
        Scene(
            {"t": "x n i", "w": "x n", "eps": "eps"}, {"l": "n", "s": "n", "z": "n i"}, {"n": 4, "i": 3}, {"n": 2, "i": 3},
            given={"eps": 0.1}, run=_run_distance(of_keys), title=title,
        )
        for of_keys, title in ((False, "queries"), (True, "keys"))
    ]),
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
