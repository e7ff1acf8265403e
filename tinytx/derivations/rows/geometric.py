r"""Operations on multivectors."""

import numpy as np

from tinytx.derivations.scene import Row, Scene


def _run_displacement(values, forward, backward):
    """A point in a multivector, whose other numbers have no effect."""
    t, x = values["t"], np.full((len(values["t"]), 16), 0.3)
    x[:, 11], x[:, 12], x[:, 13], x[:, 14] = -t[:, 2], t[:, 1], -t[:, 0], values["w"]
    y, saved = forward(x, values["p"])
    dx, dp = backward(values["dy"], saved)
    return {"y": y, "dt": dx[:, [13, 12, 11]] * np.array([-1, 1, -1]), "dw": dx[:, 14], "dp": dp, "saved": saved}


TABLE = {
    "gated_gelu": Row([Scene({"x": "x rows i"}, {"y": "rows i"}, {"rows": 3, "i": 16}, {"rows": 1, "i": 16}, "x")]),
    "displacement": Row([
        Scene(
            {"t": "t points i", "w": "w points", "p": "origin points i"}, {"y": "points i"}, {"points": 4, "i": 3},
            {"points": 2, "i": 3}, run=_run_displacement,
        ),
    ]),
}  # fmt: skip
