r"""Products that are added up in another order than BLAS's."""

import numpy as np

from tinytx.derivations.scene import Row, Scene
from tinytx.ops.few_rows import PARTS


def _draw_parts(values, rng):
    """Parts of a matrix's rows, of as many rows or one more."""
    k = len(values["h"])
    values["h"] = np.array([next(p for p in range(PARTS) if i < k * (p + 1) // PARTS) for i in range(k)])


def _row_by_row(values, forward, backward):
    return {"y": forward(values["x"], np.ascontiguousarray(values["w"]))}


def _column_by_column(values, forward, backward):
    return {"y": forward(values["x"], np.asfortranarray(values["w"]))}


def _scene(title, run):
    names = {"x": "x n i", "w": "weight i j", "h": "part i"}
    sizes, example = {"n": 3, "i": 21, "j": 5, "p": PARTS}, {"n": 2, "i": 3, "j": 2, "p": PARTS}
    return Scene(names, {"y": "n j"}, sizes, example, ranges={"p": "p"}, draw=_draw_parts, run=run, title=title)


TABLE = {
    "few_rows": Row([
        _scene("row by row", _row_by_row), _scene("column by column", _column_by_column),
    ], no_gradient="it is linear's forward in a model that is used; linear has the backward"),
}  # fmt: skip
