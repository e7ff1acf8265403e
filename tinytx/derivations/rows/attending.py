r"""Scores of queries and keys, softmaxes over several sets of keys, and the memory of a Neural Turing Machine."""

import numpy as np

from tinytx.derivations.scene import Row, Scene


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


TABLE = {
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
