r"""Operations on the positions of a sequence, or of an image."""

import numpy as np

from tinytx.derivations.scene import Row, Scene
from tinytx.ops.positions import sinusoidal_grid, sinusoidal_positions
from tinytx.ops.rotate import rotary_frequencies


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


def _rotate(title, without, *, neighbours=False, **given):
    """Return a scene with one way to lower the frequencies. A number behind the pairs is not turned."""

    def run(values, forward, backward):
        numbers = [values[name] for name in ("factor", "low", "high", "L")]
        scaling = (title.split()[0], *numbers[: 1 if title == "linear" else 4])
        f = rotary_frequencies(int(values["K"]), values["base"], scaling=scaling)
        y, saved = forward(paired(values["a"], values["b"]), f, values["start"], neighbours=neighbours, scale=values["scale"])
        dx = backward(paired(values["dy"], values["dz"]), saved)
        return {"saved": saved} | dict(zip(("y", "z", "da", "db"), (*parted(y), *parted(dx)), strict=True))

    def paired(a, b):
        rest = np.full((*a.shape[:-1], 1), 0.7)
        pairs = np.stack([a, b], axis=-1).reshape(*a.shape[:-1], -1) if neighbours else np.concatenate([a, b], axis=-1)
        return np.concatenate([pairs, rest], axis=-1)

    def parted(x):
        n = x.shape[-1] // 2
        return (x[..., 0:-1:2], x[..., 1::2]) if neighbours else (x[..., :n], x[..., n : 2 * n])

    axes = "batch t heads i"
    scalars = ("start", "scale", "base", "factor", "low", "high")
    return Scene(
        {"a": f"x {axes}", "b": f"x {axes}", "L": "length"} | {name: name for name in scalars}, {"y": axes, "z": axes},
        {"batch": 2, "t": 3, "heads": 4, "i": 5, "k": 10}, {"batch": 1, "t": 2, "heads": 1, "i": 2, "k": 4}, counts={"K": "k"},
        given={"start": 3, "scale": 1.2, "base": 100.0, "factor": 4.0, "low": 2.5, "high": 10.5, "L": 200.0} | given,
        run=run, without=frozenset(without), title=title,
    )  # fmt: skip


def _positions(title, without, sizes, example, table, **options):
    """Return the scene of one kind of table; ``table(values)`` makes it, and the learned one has no kind."""

    def run(values, forward, backward):
        y, saved = forward(values["x"], values["W"], values["start"])
        dx, dw = backward(values["dy"], saved)
        return {"y": y, "dx": dx, "dW": dw, "S": table(values["dS"].shape), "saved": saved}

    return Scene(
        {"x": "x batch t d", "W": "table v d", "start": "start"}, {"y": "batch t d", "S": "p d"}, sizes, example,
        given={"start": 2}, run=run, without=frozenset({3, 4, 5, 6, 7} - without), title=title, function="add_positions", **options,
    )  # fmt: skip


def _sinusoids(title, without, **options):
    sizes, example = {"batch": 2, "t": 3, "v": 5, "d": 8, "p": 6, "i": 4}, {"batch": 1, "t": 2, "v": 4, "d": 4, "p": 4, "i": 2}
    return _positions(
        title, without, sizes, example, lambda shape: sinusoidal_positions(*shape, np.float64, **options), counts={"D": "d"},
        ranges={"i": "i"},
    )  # fmt: skip


def _grid(shape):
    """The grid's columns are as many as fit its rows: 2 by 5 in the suite, 1 by 2 in the example."""
    n_rows = max(1, shape[0] // 5)
    return sinusoidal_grid(n_rows, shape[0] // n_rows, shape[1], np.float64)


def _conv1d(lengths, title):
    return Scene(
        {"x": "x batch v i", "W": "weight k i o", "b": "bias o", "left": "left", "right": "right", "s": "step", "d": "distance"},
        {"y": "batch t o"}, {"batch": 2, "i": 5, "k": 3, "o": 7, "t": 4} | lengths,
        {"batch": 1, "v": 5, "i": 1, "k": 2, "o": 1, "u": 10, "t": 4}, "x W b", counts={"T": "v", "T'": "t", "K": "k"},
        ranges={"u": "u"}, given={"left": 3, "right": 2, "s": 2, "d": 3}, title=title,
    )  # fmt: skip


GRID = {"batch": 4, "t": 6, "v": 8, "d": 12, "p": 10, "r": 2, "c": 5, "k": 3}
GRID_EXAMPLE = {"batch": 1, "t": 2, "v": 4, "d": 8, "p": 2, "r": 1, "c": 2, "k": 2}

TABLE = {
    "prepend": Row([
        Scene(
            {"x": "x batch t d", "W": "weight i d"}, {"y": "batch p d"}, {"batch": 2, "t": 4, "d": 5, "i": 3, "p": 7},
            {"batch": 2, "t": 2, "d": 1, "i": 1, "p": 3}, "x W", counts={"n": "i"},
        ),
    ]),
    "positions": Row([
        _sinusoids("sinusoids", {3, 4}), _sinusoids("the exponent doubled", {5}, doubled=True), _sinusoids("in halves", {6}, halves=True),
        _positions(
            "a grid", {7}, GRID, GRID_EXAMPLE, _grid,
            counts={"n": "k", "w": "c"}, ranges={"r": "r", "c": "c", "k": "k"},
        ),
    ]),
    "rotate": Row([
        _rotate("linear", {7, 8, 9}), _rotate("llama3", {6, 9}, neighbours=True), _rotate("yarn", {6, 8}),
        _rotate("yarn at the borders", {6, 8}, base=2.0, high=60.0),
    ]),
    "conv1d": Row([
        _conv1d({"v": 8, "u": 13}, "the last place is read"), _conv1d({"v": 9, "u": 14}, "the last place is not read"),
    ]),
    "activation_penalty": Row([
        Scene(
            {"x": "raw batch t d", "y": "dropped batch t d", "alpha": "alpha", "beta": "beta"}, {"r": "batch"},
            {"batch": 2, "t": 4, "d": 3}, {"batch": 1, "t": 3, "d": 2}, "x y", counts={"T": "t", "D": "d"},
            given={"alpha": 0.7, "beta": 1.3},
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
