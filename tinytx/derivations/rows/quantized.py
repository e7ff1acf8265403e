r"""Operations on weights that are rounded to whole numbers."""

import numpy as np

from tinytx.derivations.scene import Row, Scene
from tinytx.ops.quantized_linear import quantize_rows


def _draw_halfway(values, rng):
    """Nearly the worst case of rounding: but for a row's largest, its weights lie almost halfway between two multiples of its step.

    Errors have the signs of x. The last row's step is 16, and each row has a 16th of the next one's.
    """
    w, x = values["w"], values["x"]
    steps = 16.0 ** np.arange(2 - len(w), 2)[:, None]
    whole = np.floor(rng.uniform(-90, 90, w.shape)) + 0.49 * np.sign(x)
    whole[:, 0] = 127
    values["w"], values["x"] = steps * whole, np.where(np.arange(x.size) > 0, 3 * np.sign(x) + x, 0.1)


def _run_quantized_linear(values, forward, backward):
    q, steps = quantize_rows(values["w"])
    return {"y": forward(values["x"], q, steps, values["b"]), "q": q, "s": steps}


TABLE = {
    "quantized_linear": Row([
        Scene(
            {"w": "weight j i", "x": "x i", "b": "bias j"}, {"y": "j", "q": "j i", "s": "j"}, {"j": 4, "i": 6}, {"j": 2, "i": 3}, draw=_draw_halfway,
            run=_run_quantized_linear,
        ),
    ], no_gradient="a rounded number is constant almost everywhere"),
}  # fmt: skip
