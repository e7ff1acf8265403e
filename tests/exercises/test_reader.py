"""What a reader does who writes the first backward: usual mistakes, each of which the grade has to lead out of."""

import numpy as np
import pytest

from tinytx import ops
from tinytx.exercises import grade, sheet
from tinytx.ops import plain

NAMES = ("linear", "softmax", "layer_norm", "attention", "cross_entropy")


def linear(dx="dy @ weight.T", dweight="x.T @ dy", dbias="dy.sum(axis=0)", first="pass"):
    """Return a backward of linear, from its lines."""
    namespace = {}
    text = f"def linear_backward(dy, saved):\n    x, weight, _ = saved\n    {first}\n    return {dx}, {dweight}, {dbias}\n"
    exec(compile(text, "mine.py", "exec"), namespace)
    return namespace["linear_backward"]


@pytest.mark.parametrize(
    ("backward", "words", "hint"),
    [
        (linear(dx="dy @ weight"), ["mine.py, line 4", "Shapes there: dy (4, 5), x (4, 3), weight (3, 5)"], 1),
        (linear(dweight="dy.T @ x"), ["weight has shape (5, 3), expected (3, 5)", "this is its transpose"], 3),
        (linear(dbias="dy"), ["bias has shape (4, 5), expected (5,)", "add up over the axes that bias does not have"], 4),
        (linear(dbias="dy.sum()"), ["bias has shape (), expected (5,)", "too many axes are added up"], 4),
        (linear(dbias="dy.mean(axis=0)"), ["the same comes of (4) with a mean for a sum", "How to read this"], 4),
        (linear(first="x -= 1"), ["mine.py, line 3", "read-only", "write dy = dy * a"], 1),
        (linear(first="dy *= 2"), ["mine.py, line 3", "read-only"], 1),
        (lambda dy, saved: (dy, dy), ["returned 2 gradients, expected 3"], 1),
    ],
)
def test_linear(backward, words, hint):
    result = grade("linear", plain.linear, backward)
    assert not result and result.hint == hint
    for text in words:
        assert text in str(result)


def test_a_softmax_that_forgets_the_other_outputs():
    result = grade("softmax", plain.softmax, lambda dy, y: dy * y * (1 - y))
    assert "(3) with i = j alone in the sum, in dx_j = sum_i dy_i (∂y_i/∂x_j)" in str(result) and result.hint == 4


@pytest.mark.parametrize("sign", [-1, 0.8])
def test_a_wrong_cross_entropy_is_graded(sign):
    """Some mistakes in its equations lose the axis of rows, and are no gradient that it could have."""
    result = grade("cross_entropy", plain.cross_entropy, lambda dy, saved: sign * plain.cross_entropy_backward(dy, saved))
    assert not result and "20 of 20 entries are wrong" in str(result)


def test_what_was_graded_before_an_error_is_kept():
    def backward(dy, saved):
        return plain.attention_backward(dy, saved) if not isinstance(dy, tuple) else dy.T

    result = grade("attention", plain.attention, backward)
    assert not result and bool(result.reports[0][1]) and "with log_sum_exp: test_reader.py, line " in str(result)


@pytest.mark.parametrize("name", NAMES)
def test_a_sheet_says_what_the_gradient_is(name):
    text = sheet(name, "x.py", 3)
    words = "dloss, how fast the end result grows" if name == "cross_entropy" else "it gets dy, the gradient of the loss"
    assert words in text and "import numpy as np\n" in text and "frozen" not in text
    assert ("graded in this order: causal; with log_sum_exp; with dropout" in text) == (name == "attention")
    assert ("dy is the pair (dY, dL)" in text and "is M / (1 - p) of dropout" in text) == (name == "attention")


def softmax_along(axis):
    return lambda dy, y: y * (dy - (dy * y).sum(axis=axis, keepdims=True))


def layer_norm_along(first, second=-1, third=0):
    """Return a backward of layer norm whose means and sums are taken along these axes."""

    def backward(dy, saved):
        x, weight, mu, r = saved
        n, dn = (x - mu) * r, dy * weight
        dx = r * (dn - dn.mean(axis=first, keepdims=True) - n * (dn * n).mean(axis=second, keepdims=True))
        return dx, (dy * n).sum(axis=third), dy.sum(axis=third)

    return backward


@pytest.mark.parametrize(
    ("name", "backward", "words"),
    [
        ("softmax", softmax_along(0), "(3) with sum_i dy_i y_i taken over rows, in dx_j = y_j (dy_j - sum_i dy_i y_i)"),
        ("softmax", softmax_along(None), "(3) with sum_i dy_i y_i taken over all axes, in"),
        ("layer_norm", layer_norm_along(0), "(7) with mean(dn) taken over rows, in"),
        ("layer_norm", layer_norm_along(-1, 0), "(7) with mean(dn n) taken over rows, in"),
        ("layer_norm", layer_norm_along(0, 0), "(7) with all sums and means taken over rows, in"),
        ("layer_norm", layer_norm_along(-1, -1, -1), "look along which axis you add up; the axes of weight have to be left"),
        ("linear", linear(dbias="dy.sum(axis=1)"), "look along which axis you add up; the axes of bias have to be left"),
    ],
)
def test_a_sum_along_the_wrong_axis_is_named(name, backward, words):
    assert words in str(grade(name, getattr(plain, name), backward))


def test_one_mistake_of_attention_is_named_once_for_each_way_to_call_it(monkeypatch):
    """Catches a report in which one mistake looks like nine, and lines of which nobody knows to which call they belong."""
    monkeypatch.setattr(plain, "softmax_backward", softmax_along(-2))
    notes = grade("attention", plain.attention, plain.attention_backward).notes
    named = [note for note in notes if "the same comes of" in note]
    same = "{}: gradients of {}: the same comes of ({}) with sum_r P_tr dP_tr taken over t, in dA_ts = "
    ways = [("causal", "q and k and bias", 6), ("with log_sum_exp", "q and k and bias", 12), ("with dropout", "q and k and bias", 6), ("heads in groups", "q and k", 6)]
    for note, way in zip(named, ways, strict=True):
        assert note.startswith(same.format(*way))
    assert all(note.startswith(tuple(f"{title}: " for title, *_ in ways)) for note in notes)


@pytest.mark.parametrize("name", ["layer_norm", "rms_norm"])
def test_a_norm_keeps_in_its_exercise_what_its_derivation_says(name):
    """Catches a twin that keeps n, where the page explains why n is not kept."""
    x, weight = np.arange(6.0).reshape(2, 3) ** 2, np.ones(3)
    arguments = (x, weight, weight) if name == "layer_norm" else (x, weight)
    kept, kept_here = (getattr(module, name)(*arguments)[1] for module in (ops, plain))
    assert len(kept) == len(kept_here)
    for ours, theirs in zip(kept_here, kept, strict=True):
        np.testing.assert_allclose(np.ravel(ours), np.ravel(theirs))
