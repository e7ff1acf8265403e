"""A check that compared nothing does not pass: integers, empty arrays, complex numbers; a Python float is checked."""

import numpy as np
import pytest
from gradcheck_cases import Scale, X, square, square_backward

from tinytx.cli import main
from tinytx.core import Layer
from tinytx.layers import Linear, MultiHeadAttention
from tinytx.testing import CHECKS, batch_check, check_layer, first_wrong_op, gradcheck, leak_check, padding_check
from tinytx.testing.report import NothingCompared


class Square(Layer):
    """Without parameters, and wrong: whoever passes it has compared nothing."""

    def forward(self, x, tape=None):
        if tape is not None:
            tape.push(self, x)
        return np.asarray(x) ** 2

    def backward(self, dy, tape):
        return 999 * dy * tape.pop(self)


NOTHING = {
    "integers": np.arange(6).reshape(2, 3),
    "a list of integers": [[1, 2], [3, 4]],
    "no row": np.zeros((0, 3)),
    "no width": np.zeros((2, 3, 0)),
    "booleans": np.ones((2, 3), bool),
}


@pytest.mark.parametrize("x", NOTHING.values(), ids=NOTHING)
def test_gradcheck_is_inconclusive(x):
    for report in (gradcheck(square, x, backward=square_backward), gradcheck(Square(), x)):
        assert report.verdict == "INCONCLUSIVE" and not report and "nothing was compared" in str(report)


@pytest.mark.parametrize("x", NOTHING.values(), ids=NOTHING)
@pytest.mark.parametrize("check", [*CHECKS, check_layer, first_wrong_op, leak_check, batch_check],
                         ids=lambda check: check.__name__ if callable(check) else "")  # fmt: skip
def test_every_other_check_raises(check, x):
    with pytest.raises(NothingCompared, match="Square: .*nothing was compared"):
        check(Square(), x)


def test_padding_check_raises():
    with pytest.raises(NothingCompared, match="Square: no float input"):
        padding_check(Square(), NOTHING["integers"], [1, 2], make_options=lambda lengths, size: {})


def test_integers_among_parameters_are_no_mistake():
    """Parameters are float inputs, too: what is compared is named in the report."""
    report = gradcheck(Scale(3), np.arange(6).reshape(1, 2, 3))
    assert report and [tensor.name for tensor in report.tensors] == ["weight"]


@pytest.mark.parametrize("y", [lambda x: x[:0], lambda x: x.astype(int)], ids=["empty", "integers"])
def test_an_output_without_floats(y):
    report = gradcheck(lambda x: (y(x), x), X, backward=lambda dy, x: x)
    assert report.verdict == "INCONCLUSIVE" and "nothing was compared" in report.reason


def test_one_empty_tensor_beside_others():
    """It is in the table, and the others decide."""
    f = lambda x, nothing: (x * x + nothing.sum(), (x, nothing))  # noqa: E731
    backward = lambda dy, saved: (2 * dy * saved[0], np.zeros_like(saved[1]))  # noqa: E731
    report = gradcheck(f, X, np.zeros((0, 2)), backward=backward)
    assert report and report["nothing"].checked == 0


@pytest.mark.parametrize("x", [2.0, np.float64(2.0), np.float32(2.0), np.array(2.0), [1.0, 2.0]])
def test_numbers_and_lists_are_checked(x):
    backward = lambda dy, x: 2 * dy * np.asarray(x)  # noqa: E731
    f = lambda x: (np.square(x), x)  # noqa: E731
    assert gradcheck(f, x, backward=backward)["x"].checked > 0
    assert gradcheck(f, x, backward=lambda dy, x: 999 * backward(dy, x)).verdict == "FAIL"


def test_a_setting_is_not_taken_for_an_input():
    """A Python float is checked; where backward has no gradient for it, the message says how to bind it."""
    f = lambda x, scale: (scale * x, scale)  # noqa: E731
    with pytest.raises(ValueError, match="1 gradients for 2 float inputs .*: bind scale by functools.partial"):
        gradcheck(f, X, 3.0, backward=lambda dy, scale: scale * dy)
    assert gradcheck(f, X, 3, backward=lambda dy, scale: scale * dy)


@pytest.mark.parametrize("x", [np.ones(3) * 1j, 1j, [1j, 2j]])
def test_complex_inputs_are_refused_by_name(x):
    with pytest.raises(TypeError, match="gradcheck: x is .*: derivatives of complex numbers are not checked"):
        gradcheck(square, x, backward=square_backward)


def test_complex_arrays_elsewhere_are_refused_by_name():
    layer, x = Linear(3, 2, rng=np.random.default_rng(0)), np.ones((2, 3))
    with pytest.raises(TypeError, match="gradcheck: memory is complex128 of shape"):
        gradcheck(MultiHeadAttention(3, 1, rng=np.random.default_rng(0)), x[None], 1j * x[None])
    with pytest.raises(TypeError, match=r"the output is complex128 of shape \(2, 3, 5\)"):
        gradcheck(lambda x: (np.fft.fft(x), x), X, backward=square_backward)
    with pytest.raises(TypeError, match="x is complex128"):
        leak_check(Square(), 1j * x)
    layer.weight.data = layer.weight.data * 1j
    with pytest.raises(TypeError, match="Linear: weight is complex64"):
        gradcheck(layer, x)


def test_the_command_line_exits_with_1(capsys):
    assert main(["gradcheck", "tinytx.ops:gelu", "--shapes", "0,3"]) == 1
    assert "nothing was compared" in capsys.readouterr().out
