r"""Operations that pick rows, spread them, or add them up."""

import numpy as np

from tinytx.derivations.scene import Row, Scene


def _draw_ids(values, rng):
    """Some row of the table is named twice, some never."""
    n_rows, n = len(values["W"]), len(values["ids"])
    values["ids"] = np.append(ids := rng.permutation(n_rows)[: n - 1], ids[0])


def _draw_rows(values, rng):
    n_rows, n = len(values["X"]), len(values["rows"])
    values["rows"] = np.append(rows := rng.permutation(n_rows)[: n - 1], rows[0])


def _run_select_rows(values, forward, backward):
    x = values["X"].reshape(2, -1, values["X"].shape[1])
    y, saved = forward(x, values["rows"])
    return {"y": y, "dX": backward(values["dy"], saved).reshape(values["X"].shape), "saved": saved}


def _draw_slots(values, rng):
    """Some slot has two rows, some none."""
    n_slots, m = values["w"].size, len(values["slot"])
    values["slot"] = np.append(slots := rng.permutation(n_slots)[: m - 1], slots[0])


def _run_scalar_mix(values, forward, backward):
    y, saved = forward(values["h"], values["s"], np.array([values["gamma"]]))
    dh, ds, dgamma = backward(values["dy"], saved)
    return {"y": y, "dh": dh, "ds": ds, "dgamma": dgamma[0], "saved": saved}


def _draw_positions(values, rng):
    """One position is padding in each sequence."""
    mask = values["m"] = np.ones_like(values["m"])
    mask[np.arange(len(mask)), np.arange(len(mask)) % mask.shape[1]] = 0


def _run_compress(values, forward, backward):
    """One column more, behind the sequences' positions, has no effect."""
    weight = np.pad(values["E"], [(0, 0), (0, 1)], constant_values=9.0)
    y, saved = forward(values["x"], weight, mask=values["m"] > 0)
    dx, dweight = backward(values["dy"], saved)
    return {"y": y, "dx": dx, "dE": dweight[:, :-1], "saved": saved}


TABLE = {
    "embedding": Row([
        Scene(
            {"ids": "ids n", "W": "weight v d"}, {"y": "n d"}, {"n": 4, "v": 5, "d": 3}, {"n": 3, "v": 4, "d": 2}, "W",
            draw=_draw_ids,
        ),
    ]),
    "select_rows": Row([
        Scene(
            {"X": "x n d", "rows": "rows i"}, {"y": "i d"}, {"n": 6, "i": 4, "d": 3}, {"n": 4, "i": 3, "d": 2},
            draw=_draw_rows, run=_run_select_rows,
        ),
    ]),
    "add_rows": Row([
        Scene(
            {"x": "x i d", "w": "weights n j", "slot": "slots i"}, {"y": "n d"}, {"i": 5, "d": 6, "n": 3, "j": 2},
            {"i": 3, "d": 2, "n": 2, "j": 2}, "x w", counts={"k": "j"}, draw=_draw_slots,
        ),
    ]),
    "pair_sum": Row([
        Scene(
            {"a": "a batch i features", "b": "b batch j features"}, {"y": "batch i j features"},
            {"batch": 2, "i": 3, "j": 4, "features": 5}, {"batch": 1, "i": 2, "j": 3, "features": 1}, "a b",
        ),
    ]),
    "scalar_mix": Row([
        Scene(
            {"h": "layers positions j d", "s": "scores j", "gamma": "gamma"}, {"y": "positions d"},
            {"positions": 5, "j": 3, "d": 4}, {"positions": 1, "j": 2, "d": 3}, given={"gamma": 1.3}, run=_run_scalar_mix,
        ),
    ]),
    "compress": Row([
        Scene(
            {"x": "x batch heads s k", "E": "weight c s", "m": "mask batch s"}, {"y": "batch heads c k"},
            {"batch": 3, "heads": 2, "s": 5, "k": 6, "c": 4}, {"batch": 1, "heads": 1, "s": 3, "k": 2, "c": 2},
            draw=_draw_positions, run=_run_compress,
        ),
    ]),
}  # fmt: skip
