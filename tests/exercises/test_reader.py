"""What a reader does who writes the first backward: usual mistakes, each of which the grade has to lead out of."""

import pytest

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
