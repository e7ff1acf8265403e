r"""Operations on the positions of a sequence, or of an image."""

import numpy as np

from tinytx.derivations.scene import Row, Scene


def _draw_real(values, rng):
    """The first position is padding, and holds what is the maximum of the others; another one is padding, too."""
    x, m = values["x"], np.ones(values["m"].shape)
    m[:, 0], m[np.arange(len(m)), [-1, 1, 2][: len(m)]] = 0, 0
    x[:, 0] = np.where(m[:, :, None] > 0, x, -np.inf).max(axis=1)
    values["m"] = m


def _pool(kind, without):
    """Return the scene of one kind of pooling."""

    def run(values, forward, backward):
        y, saved = forward(values["x"], [kind], mask=values["m"] > 0)
        return {"y": y, "dx": backward(values["dy"], saved), "saved": saved}

    names, sizes, example = {"x": "x batch t d", "m": "mask batch t"}, {"batch": 3, "t": 5, "d": 4}, {"batch": 1, "t": 4, "d": 2}
    return Scene(names, {"y": "batch d"}, sizes, example, draw=_draw_real, run=run, without=frozenset(without), title=kind)


def _run_patches(values, forward, backward):
    """One image."""
    (x, dy), side = (values[name][None] for name in ("x", "dy")), int(values["P"])
    y, saved = forward(x, side)
    return {"y": y[0], "dx": backward(dy, saved)[0], "saved": saved}


TABLE = {
    "prepend": Row([
        Scene(
            {"x": "x batch t d", "W": "weight i d"}, {"y": "batch p d"}, {"batch": 2, "t": 4, "d": 5, "i": 3, "p": 7},
            {"batch": 2, "t": 2, "d": 1, "i": 1, "p": 3}, "x W", counts={"n": "i"},
        ),
    ]),
    "pool": Row([
        _pool("mean", {2, 3, 4, 6}), _pool("max", {1, 3, 4, 5}), _pool("first", {1, 2, 4, 5}), _pool("last", {1, 2, 3, 5}),
    ]),
    "patches": Row([
        Scene(
            {"x": "images h v c"}, {"y": "n m"}, {"p": 2, "i": 3, "j": 5, "c": 4, "h": 6, "v": 10, "n": 15, "m": 16},
            {"p": 2, "i": 1, "j": 2, "c": 1, "h": 2, "v": 4, "n": 2, "m": 4}, counts={"P": "p", "w": "j"},
            ranges={"i": "i", "j": "j", "p": "p", "q": "p"}, run=_run_patches,
        ),
    ]),
}  # fmt: skip
