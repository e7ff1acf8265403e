r"""Operations that work on each number by itself."""

import numpy as np

from tinytx.derivations.scene import Row, Scene, functions

EXAMPLE = {"numbers": 4}


def _scene(**options):
    """Return the scene of an operation from x to y; "numbers" is the axis that equations leave out."""
    return Scene({"x": "x numbers"}, {"y": "numbers"}, {"numbers": 7}, EXAMPLE, "x", **options)


def _draw_mask(values, rng):
    """The mask of zeros and ones that the operation draws for this key."""
    values["m"] = (functions("dropout")[0](np.ones_like(values["x"]), values["p"], 7)[0] != 0).astype(float)


def _run_dropout(values, forward, backward):
    y, saved = forward(values["x"], values["p"], 7)
    return {"y": y, "dx": backward(values["dy"], saved), "saved": saved}


def _draw_words(values, rng):
    """A word that occurs twice, and the mask of the vocabulary, which the operation draws for this key."""
    words = np.arange(len(values["m"]))
    values["v"] = rng.permutation(words)[: len(values["v"])]
    values["v"][-1] = values["v"][0]
    values["m"] = (functions("word_dropout")[0](np.ones((len(words), 1)), words, values["p"], 7)[0][:, 0] != 0).astype(float)


def _run_word_dropout(values, forward, backward):
    y, saved = forward(values["x"], values["v"], values["p"], 7)
    return {"y": y, "dx": backward(values["dy"], saved), "saved": saved}


def _run_gate(values, forward, backward):
    y, saved = forward(values["a"], values["b"], "silu")
    da, db = backward(values["dy"], saved)
    return {"y": y, "da": da, "db": db, "saved": saved}


def _run_onto(values, forward, backward):
    """The gradient of what y is added to is dy."""
    y, saved = forward(values["x"], values["W"], values["b"], onto=values["r"])
    return {"y": y, "dr": values["dy"], "saved": saved}


TABLE = {
    "relu": Row([_scene()]),
    "silu": Row([_scene()]),
    "tanh": Row([_scene()]),
    "scale": Row([
        Scene({"x": "x numbers", "c": "factor"}, {"y": "numbers"}, {"numbers": 7}, EXAMPLE, "x", given={"c": 1.7}),
    ]),
    "gate": Row([
        Scene({"a": "a numbers", "b": "b numbers"}, {"y": "numbers"}, {"numbers": 7}, EXAMPLE, run=_run_gate),
    ]),
    "dropout": Row([
        Scene(
            {"x": "x rows features", "m": "m rows features", "p": "p"}, {"y": "rows features"}, {"rows": 5, "features": 4},
            {"rows": 2, "features": 3}, given={"p": 0.3}, draw=_draw_mask, run=_run_dropout,
        ),
    ]),
    "word_dropout": Row([
        Scene(
            {"x": "x n features", "v": "ids n", "m": "m v", "p": "p"}, {"y": "n features"}, {"n": 6, "features": 4, "v": 7},
            {"n": 3, "features": 2, "v": 4}, given={"p": 0.3}, draw=_draw_words, run=_run_word_dropout,
        ),
    ]),
    "maxout": Row([
        Scene(
            {"x": "x rows n"}, {"y": "rows j"}, {"rows": 3, "n": 10, "j": 5}, {"rows": 1, "n": 6, "j": 3}, "x", ranges={"j": "j"},
        ),
    ]),
    "gelu_linear": Row([
        Scene(
            {"x": "x n i", "W": "weight i j", "b": "bias j"}, {"y": "n j"}, {"n": 4, "i": 3, "j": 5}, {"n": 2, "i": 3, "j": 2}, "x W b",
            without=frozenset({6}),
        ),
        Scene(
            {"x": "x n i", "W": "weight i j", "b": "bias j", "r": "onto n j"}, {"y": "n j"}, {"n": 4, "i": 3, "j": 5},
            {"n": 2, "i": 3, "j": 2}, run=_run_onto, without=frozenset({2, 3, 4, 5}), title="onto another array",
        ),
    ]),
    "gelu": Row([
        _scene(without=frozenset({3, 4}), title="exact"),
        _scene(without=frozenset({1, 2}), title="with tanh", function="gelu_tanh"),
    ]),
}  # fmt: skip
