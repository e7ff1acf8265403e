r"""Operations on weights that are rounded to whole numbers."""

import numpy as np

from tinytx.derivations.scene import Row, Scene
from tinytx.ops.quantized_linear import quantize_rows


def _draw_halfway(values, rng):
    """Nearly the worst case of rounding: weights and inputs lie almost halfway between two multiples, and all errors of an output have one sign.

    Only the largest weight of a row, the first, is no such case, for which x is 0 but for its error, nor the largest input, the second, for which
    weights are small. The last row's step is 256, and each row has a 256th of the next one's.
    """
    w, x = values["w"], values["x"]
    steps, signs = 256.0 ** np.arange(2 - len(w), 2)[:, None], (-1.0) ** np.arange(len(w))[:, None]
    halves, whole = np.sign(x), np.floor(rng.uniform(60, 90, w.shape))
    whole[:, 0], whole[:, 1] = 127, 1
    w[...] = steps * signs * (whole + 0.49999 * halves)
    w[:, 0] = (steps * signs * 127)[:, 0]
    a = halves * np.floor(rng.uniform(1, 3, x.shape))
    a[0], a[1] = 0, 32767 * halves[1]
    x[...] = 1.5 * (a + 0.49999 * (np.arange(x.size) != 1))


def _run_quantized_linear(values, forward, backward):
    q, steps = quantize_rows(values["w"])
    return {"y": forward(values["x"], q, steps, values["b"]), "q": q, "s": steps}


TABLE = {
    "quantized_linear": Row([
        Scene(
            {"w": "weight j i", "x": "x i", "b": "bias j", "L": "L"}, {"y": "j", "q": "j i", "s": "j"}, {"j": 4, "i": 6}, {"j": 2, "i": 3}, given={"L": 32767},
            draw=_draw_halfway, run=_run_quantized_linear,
        ),
    ], no_gradient="a rounded number is constant almost everywhere"),
}  # fmt: skip
