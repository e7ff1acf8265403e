r"""Recurrences. "time" is the axis of the positions, along which ``before`` and ``after`` go."""

import numpy as np

from tinytx.derivations.scene import Row, Scene
from tinytx.ops import recurrent
from tinytx.ops.rnn import rnn, rnn_backward

SIZES = {"rows": 2, "time": 3, "i": 5, "k": 4}
EXAMPLE = {"rows": 1, "time": 2, "i": 1, "k": 1}
GATES = "i", "f", "g", "o"


def _scene(states, weights, cut=(), **axes):
    """Return the scene of a recurrence.

    Parameters
    ----------
    states : str
        The letters of what goes along, such as "hc".
    weights : dict of str to str
        What the code takes in this order after x: the argument and its axes.
    cut : tuple of tuples of str
        Those that are the columns of one argument.
    **axes : int
        How many times the units ("k") other axes are.
    """
    names = {"x": "x rows time i"} | weights | {f"{state}_0": f"{state} rows k" for state in states}
    outputs = {"y": "rows time k"} | {f"{state}_T": "rows k" for state in states}

    def run(values, forward, backward):
        """Columns of one argument are put beside each other, and its gradient is cut."""
        groups = [next((group for group in cut if name in group), (name,)) for name in weights]
        groups = list(dict.fromkeys(groups))
        arguments = [np.concatenate([values[name] for name in group], axis=-1) for group in groups]
        (y, *final), saved = forward(values["x"], *arguments, *(values[f"{state}_0"] for state in states))
        dx, *gradients = backward((values["dy"], *(values[f"d{state}_T"] for state in states)), saved)
        results = {"y": y, "dx": dx, "saved": saved}
        for group, gradient in zip(groups, gradients, strict=False):
            edges = np.cumsum([values[name].shape[-1] for name in group])[:-1]
            results |= {f"d{name}": part for name, part in zip(group, np.split(gradient, edges, axis=-1), strict=True)}
        results |= {f"{state}_T": array for state, array in zip(states, final, strict=True)}
        return results | {f"d{state}_0": array for state, array in zip(states, gradients[len(groups) :], strict=True)}

    sizes, example = ({**base, **{axis: n * base["k"] for axis, n in axes.items()}} for base in (SIZES, EXAMPLE))
    return Scene(names, outputs, sizes, example, run=run)


def _whole(states, *names):
    """Return the names whose underscores are no indices, and those of their gradients."""
    names = (*names, *(f"{state}_{end}" for state in states for end in "0T"))
    return frozenset(names) | {f"d{name}" for name in names}


def _draw_mask(values, rng):
    """A position is padding in each row: the last one, and the first one."""
    values["m"] = np.ones_like(values["m"])
    values["m"][0, -1] = 0
    values["m"][1:, 0] = 0


def _run_one_product(values, forward, backward):
    (y, h), saved = rnn(values["x"], values["Wx"], values["Wh"], values["b"], values["h_0"], mask=values["m"] > 0)
    dx, dweight_x, dweight_h, dbias, dh = rnn_backward((values["dy"], values["dh_T"]), saved)
    gradients = {"dx": dx, "dWx": dweight_x, "dWh": dweight_h, "db": dbias, "dh_0": dh}
    return {"y": y, "h_T": h, "saved": saved} | gradients


def _step(h, p, e, v, u, q, bias, before):
    h[:] = e[:] = np.tanh(e + q + bias)


def _step_backward(dp, de, dq, dh, p, e, v, u, h, before):
    de[:], dh[:] = dh * (1 - e) * (1 + e), 0


def _make_v(p, e, v, u, q, bias, before):
    u[:], v[:] = q, p * q


def _make_v_backward(dp, de, dq, dv, dh, p, e, v, u, before):
    dp[:], dq[:] = dv * u, dv * p


INNER = recurrent.Inner(1, False, True, _make_v, _make_v_backward)
CELL = recurrent.Cell("two products", 2, ("h",), ("b",), 2, _step, _step_backward, inner=INNER)  # (5) to (7) of its page


def _run_two_products(values, forward, backward):
    """From right to left: what the page calls the first position is the last one of the arrays."""
    x, dy, mask = values["x"][:, ::-1], values["dy"][:, ::-1], values["m"][:, ::-1] > 0
    weights = [np.concatenate([values[f"W{name}"], values[f"U{name}"]], axis=1) for name in "xh"]
    (y, h), saved = forward(CELL, x, *weights, (values["b"],), (values["h_0"],), mask, True)
    dx, *dweights, dbias, dh = recurrent.backward(CELL, (dy, values["dh_T"]), saved)
    gradients = {"dx": dx[:, ::-1], "db": dbias, "dh_0": dh}
    for name, gradient in zip("xh", dweights, strict=True):
        gradients[f"dW{name}"], gradients[f"dU{name}"] = np.split(gradient, 2, axis=1)
    return {"y": y[:, ::-1], "h_T": h, "saved": saved} | gradients


PARTS = tuple(f"z_{gate}" for gate in GATES)
GRU_PARTS = tuple(f"{name}_{gate}" for name in "pqa" for gate in "rzn")

MASKED = {
    "x": "x rows time i", "Wx": "weight_x i k", "Wh": "weight_h k k", "b": "bias k", "h_0": "h rows k", "m": "mask rows time",
}  # fmt: skip
OUTPUTS = {"y": "rows time k", "h_T": "rows k"}

TABLE = {
    "recurrent": Row([
        Scene(
            MASKED, OUTPUTS, SIZES, EXAMPLE, draw=_draw_mask, run=_run_one_product, function="forward",
            without=frozenset({5, 6, 7}), title="one product",
        ),
        Scene(
            MASKED | {"Ux": "weight_x i k", "Uh": "weight_h k k"}, OUTPUTS, SIZES, EXAMPLE, draw=_draw_mask, run=_run_two_products,
            function="forward", without=frozenset({1, 3, 4}), title="two products",
        ),
    ], whole=_whole("h")),
    "rnn": Row(
        [_scene("h", {"Wx": "weight_x i k", "Wh": "weight_h k k", "b": "bias k"})],
        whole=_whole("h"),
    ),
    "lstm": Row(
        [_scene("hc", {"Wx": "weight_x i z", "Wh": "weight_h k z", "b": "bias z"}, z=4)],
        whole=_whole("hc", *PARTS),
    ),
    "gru": Row(
        [_scene("h", {"Wx": "weight_x i p", "Wh": "weight_h k p", "bx": "bias_x p", "bh": "bias_h p"}, p=3)],
        whole=_whole("h", *GRU_PARTS),
    ),
    "original_gru": Row(
        [_scene("h", {"Wx": "weight_x i p", "Uh": "weight_h k q", "Un": "weight_h k k", "b": "bias p"}, (("Uh", "Un"),), p=3, q=2)],
        whole=_whole("h", *GRU_PARTS),
    ),
    "mlstm": Row(
        [_scene(
            "hc",
            {"Wmx": "weight_x i k", "Wz": "weight_x i z", "Wmh": "weight_h k k", "Um": "weight_h k z", "b": "bias z"},
            (("Wmx", "Wz"), ("Wmh", "Um")), z=4,
        )],
        whole=_whole("hc", *PARTS),
    ),
}  # fmt: skip
