r"""Some of many: the experts that a token is sent to."""

import numpy as np

from tinytx.derivations.scene import Row, Scene

LOGITS = {"a": "logits tokens i", "E": "experts tokens n"}
EXPERTS, EXPERTS_EXAMPLE = {"tokens": 4, "i": 5, "n": 2}, {"tokens": 2, "i": 3, "n": 2}


def _draw_experts(values, rng):
    """Those of the largest logits."""
    values["E"] = np.argsort(-values["a"], axis=1)[:, : values["E"].shape[1]]


def _route(title, renormalise, without):
    """Return the scene with or without renormalised weights."""

    def run(values, forward, backward):
        w, saved = forward(values["a"], values["E"].shape[1], renormalise=renormalise)
        return {"w": w, "da": backward(values["dw"], saved), "saved": saved}

    return Scene(
        LOGITS, {"w": "tokens n"}, EXPERTS, EXPERTS_EXAMPLE, ranges={"i": "i"}, draw=_draw_experts, run=run, title=title,
        without=frozenset(without),
    )  # fmt: skip


def _run_balance(values, forward, backward):
    """A batch of one text."""
    b, saved = forward(values["a"][None], values["E"][None])
    return {"b": b[0], "da": backward(values["db"][None], saved)[0], "saved": saved}


TABLE = {
    "route": Row([
        _route("shares of all", False, (2, 4, 5, 6)),
        _route("renormalised", True, (1, 3, 5, 6)),
        Scene(
            LOGITS, {"b": ""}, EXPERTS, EXPERTS_EXAMPLE, counts={"X": "i", "T": "tokens"}, ranges={"i": "i"}, draw=_draw_experts,
            run=_run_balance, title="balance", without=frozenset({1, 2, 3, 4}), function="balance",
        ),
    ]),
}  # fmt: skip
