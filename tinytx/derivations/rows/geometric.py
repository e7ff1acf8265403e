r"""Operations on multivectors."""

import numpy as np

from tinytx.derivations.scene import Row, Scene
from tinytx.ops.equivariant_linear import MAP, SOURCE, TARGET
from tinytx.ops.multivector import EUCLIDEAN, join_table, product_table


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


def _draw_maps(values, rng):
    values["T"] = np.zeros(values["T"].shape)
    values["T"][MAP, SOURCE, TARGET] = 1


def _run_equivariant_linear(values, forward, backward):
    x, dy = values["x"], values["dy"]
    y, saved = forward(x.reshape(len(x), -1), values["w"], values["B"])
    dx, dw, db = backward(dy.reshape(len(dy), -1), saved)
    return {"y": y.reshape(dy.shape), "dx": dx.reshape(x.shape), "dw": dw, "dB": db, "saved": saved}


def _draw_signs(table):
    def draw(values, rng):
        rows = table()
        values["G"] = np.zeros((16, 16, 16))
        values["G"][rows[:, 1], rows[:, 2], rows[:, 0]] = rows[:, 3]

    return draw


PAIR = {"x": "x rows i", "y": "y rows i", "G": "G i i i"}


def _run_pair(*names):
    """Return what calls an operation of these inputs."""

    def run(values, forward, backward):
        z, saved = forward(*(values[name] for name in names))
        return {"z": z, "saved": saved} | dict(zip((f"d{name}" for name in names), backward(values["dz"], saved)))

    return run


TABLE = {
    "geometric_product": Row([
        Scene(
            PAIR, {"z": "rows i"}, {"rows": 2, "i": 16}, {"rows": 1, "i": 16}, draw=_draw_signs(product_table), run=_run_pair("x", "y"),
            without=frozenset({2, 4}), title="product",
        ),
        Scene(
            PAIR | {"r": "reference rows"}, {"z": "rows i"}, {"rows": 2, "i": 16}, {"rows": 1, "i": 16}, draw=_draw_signs(join_table),
            run=_run_pair("x", "y", "r"), without=frozenset({1, 3}), title="join", function="join",
        ),
    ]),
    "equivariant_linear": Row([
        Scene(
            {"x": "x rows i a", "w": "weight m i o", "B": "bias o", "T": "T m a a"}, {"y": "rows o a"},
            {"rows": 4, "i": 2, "o": 3, "m": 9, "a": 16}, {"rows": 1, "i": 1, "o": 1, "m": 9, "a": 16}, draw=_draw_maps,
            run=_run_equivariant_linear,
        ),
    ]),
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
