r"""Scores of queries and keys, softmaxes over several sets of keys, and the memory of a Neural Turing Machine."""

import numpy as np

from tinytx.derivations.scene import Row, Scene
from tinytx.ops.addressing import EPS


def _draw_kinds(values, rng):
    values["z"] = rng.integers(0, values["u"].shape[1], values["z"].shape)


def _run_merge(values, forward, backward):
    (y, lse), saved = forward(values["y"], values["l"])
    dys, dlses = backward((values["dY"], values["dL"]), saved)
    return {"Y": y, "L": lse, "dy": dys, "dl": dlses, "saved": saved}


MEMORY_SIZES, MEMORY_EXAMPLE = {"batch": 2, "heads": 3, "n": 5, "i": 4}, {"batch": 1, "heads": 1, "n": 3, "i": 2}

def _run_additive_scores(values, forward, backward):
    """All heads share the keys. One key more, which is masked, has no effect."""
    k, de = np.insert(values["k"], 1, 9.0, axis=1)[:, None], np.insert(values["de"], 1, 3.0, axis=-1)
    real = np.arange(k.shape[2]) != 1
    scores, saved = forward(values["q"], k, values["w"], mask=real)
    dq, dk, dw = backward(de, saved)
    return {"e": scores[..., real], "dq": dq, "dk": dk[:, 0, real], "dw": dw, "saved": saved}


def _linear_attention(title, causal):
    """Return the scene in which a query sees all keys, or those up to its own place: the queries are the last places."""

    def draw(values, rng):
        t, s = values["m"].shape
        values["m"] = np.tri(t, s, s - t) if causal else np.ones((t, s))

    def run(values, forward, backward):
        y, saved = forward(*(values[name][None] for name in "qkv"), causal=causal)
        dq, dk, dv = backward(values["dy"][None], saved)
        return {"y": y[0], "dq": dq[0], "dk": dk[0], "dv": dv[0], "saved": saved}

    return Scene(
        {"q": "q heads t i", "k": "k heads s i", "v": "v heads s w", "m": "m t s"}, {"y": "heads t w"},
        {"heads": 2, "t": 3, "s": 5, "i": 4, "w": 6}, {"heads": 1, "t": 2, "s": 3, "i": 2, "w": 1}, draw=draw, run=run, title=title,
    )  # fmt: skip


def _draw_head(values, rng):
    """Weights of the step before add up to 1; key and memory are so small that eps counts."""
    values["w'"] = np.abs(values["w'"]) / np.abs(values["w'"]).sum(axis=1, keepdims=True)
    values["k"], values["M"] = values["k"] / 30, values["M"] / 30


def _run_address(values, forward, backward):
    """One memory, with several heads."""
    arguments = [values[name][None] for name in ("k", "strength", "gate", "shift", "sharpness", "w'", "M")]
    w, saved = forward(*arguments)
    names = ("dk", "dstrength", "dgate", "dshift", "dsharpness", "dw'", "dM")
    gradients = {name: gradient[0] for name, gradient in zip(names, backward(values["dw"][None], saved), strict=True)}
    return {"w": w[0], "saved": saved} | gradients


TABLE = {
    "linear_attention": Row([_linear_attention("causal", True), _linear_attention("all keys", False)]),
    "addressing": Row([
        Scene(
            {
                "k": "k heads m", "strength": "strength heads", "gate": "gate heads", "shift": "shift heads j",
                "sharpness": "sharpness heads", "w'": "before heads n", "M": "memory n m",
                "eps": "eps",
            },
            {"w": "heads n"}, {"heads": 2, "m": 3, "j": 5, "n": 7}, {"heads": 1, "m": 2, "j": 3, "n": 4},
            counts={"J": "j", "N": "n"}, ranges={"n": "n"}, given={"eps": EPS}, draw=_draw_head, run=_run_address,
            function="address",
        ),
    ]),
    "additive_scores": Row([
        Scene(
            {"q": "q batch heads t a", "k": "k batch s a", "w": "weight heads a"}, {"e": "batch heads t s"},
            {"batch": 2, "heads": 3, "t": 4, "s": 6, "a": 5}, {"batch": 1, "heads": 1, "t": 2, "s": 3, "a": 2},
            run=_run_additive_scores,
        ),
    ]),
    "relative_scores": Row([
        Scene(
            {"q": "q batch heads t i", "r": "r heads j i", "a": "ahead", "c": "scale"}, {"e": "batch heads t s"},
            {"batch": 2, "heads": 3, "t": 4, "s": 5, "j": 7, "i": 6}, {"batch": 1, "heads": 1, "t": 2, "s": 3, "j": 5, "i": 2},
            "q r", counts={"T": "t", "S": "s"}, ranges={"t": "t"}, given={"a": 2, "c": 0.7},
        ),
    ]),
    "product_scores": Row([
        Scene(
            {"q": "q batch t i", "k": "k batch s i"}, {"e": "batch t s"}, {"batch": 2, "t": 3, "s": 4, "i": 5},
            {"batch": 1, "t": 2, "s": 3, "i": 2}, "q k", counts={"K": "i"},
        ),
    ]),
    "segment_scores": Row([
        Scene(
            {"q": "q batch heads t i", "u": "u heads n i", "z": "kinds batch t s"}, {"e": "batch heads t s"},
            {"batch": 2, "heads": 3, "t": 4, "s": 6, "n": 7, "i": 5}, {"batch": 1, "heads": 1, "t": 2, "s": 3, "n": 2, "i": 2},
            "q u", counts={"K": "i"}, draw=_draw_kinds,
        ),
    ]),
    "merge": Row([
        Scene(
            {"y": "ys i queries k", "l": "lses i queries"}, {"Y": "queries k", "L": "queries"}, {"i": 3, "queries": 4, "k": 5},
            {"i": 2, "queries": 1, "k": 3}, run=_run_merge,
        ),
    ]),
    "memory": Row([
        Scene(
            {"w": "w batch heads n", "M": "memory batch n i"}, {"r": "batch heads i"}, MEMORY_SIZES, MEMORY_EXAMPLE, "w M",
            without=frozenset({3, 4, 5, 6}), title="reading", function="read_memory",
        ),
        Scene(
            {"M": "memory batch n i", "w": "w batch n", "erase": "erase batch i", "a": "add batch i"}, {"M'": "batch n i"},
            MEMORY_SIZES, MEMORY_EXAMPLE, "M w erase a", without=frozenset({1, 2}), title="writing", function="write_memory",
        ),
    ]),
}  # fmt: skip
