"""What gradcheck says to people who come from other checkers, or who hand in something else than it takes."""

import functools

import numpy as np
import pytest
from gradcheck_cases import Scale, X, square, square_backward

from tinytx import ops
from tinytx.layers import LayerNorm
from tinytx.testing import check_layer, first_wrong_op, gradcheck


@pytest.mark.parametrize("name", ["eps", "atol", "raise_exception", "fast_mode", "nondet_tol", "order", "argnums"])
def test_settings_of_other_checkers_are_refused_with_the_reason(name):
    with pytest.raises(TypeError, match=f"gradcheck: there is no {name}: [a-z]+ [a-z=.]+"):
        gradcheck(square, X, backward=square_backward, **{name: 1e-6})


def test_an_unknown_setting():
    with pytest.raises(TypeError, match="gradcheck: there is no sample: see help"):
        gradcheck(square, X, backward=square_backward, sample=3)


@pytest.mark.parametrize(
    ("f", "message"),
    [
        (lambda x: x * x, r"the function returned an array of shape \(2, 3, 5\), expected \(y, saved\)"),
        (lambda x: (x, x, x), r"the function returned a tuple of 3, expected \(y, saved\)"),
        (lambda x: None, r"the function returned None, expected \(y, saved\)"),
        (lambda x: {"y": x}, r"the function returned a dict of 1, expected \(y, saved\)"),
        (lambda x: ({"y": x}, x), "forward returned dict, expected an array, or a tuple of arrays"),
        (lambda x: (None, x), "forward returned NoneType, expected an array"),
    ],
)
def test_what_a_forward_must_return(f, message):
    with pytest.raises(TypeError, match=f"gradcheck: {message}"):
        gradcheck(f, X, backward=square_backward)


def test_gradients_by_name():
    with pytest.raises(TypeError, match=r"backward returned a dict \(x\), expected the gradients in the inputs' order"):
        gradcheck(square, X, backward=lambda dy, x: {"x": 2 * dy * x})


@pytest.mark.parametrize("check", [gradcheck, check_layer, first_wrong_op])
def test_a_class_for_a_layer(check):
    with pytest.raises(TypeError, match=r"LayerNorm is a class: hand in an instance, such as LayerNorm\(...\)"):
        check(LayerNorm, X)


@pytest.mark.parametrize("shape", [(2, 3, 5), (1, 1, 5), (3,)], ids=["not summed", "axes kept", "another size"])
def test_a_wrong_shape_added_with_plus_names_shapes_and_line(shape):
    class Adds(Scale):
        def backward(self, dy, tape):
            tape.pop(self)
            self.weight.grad += np.ones(shape)
            return dy * self.weight.data

    shown = ",".join(map(str, shape))
    with pytest.raises(AssertionError, match=rf"Adds raised ValueError: .*\(5,\).*\({shown},?\).*{__file__}:\d+"):
        check_layer(Adds(5), X)


def test_an_error_of_the_backward_itself_is_left_as_it_is():
    class Raises(Scale):
        def backward(self, dy, tape):
            raise ValueError("mine")

    with pytest.raises(ValueError, match="^mine$"):
        gradcheck(Raises(5), X)


def test_a_gradient_that_was_not_summed():
    """A missing sum over what was broadcast: the axes are named."""
    add = lambda x, bias: (x + bias, None)  # noqa: E731
    report = gradcheck(add, X, X[0, 0], backward=lambda dy, saved: (dy, dy))
    assert report["bias"].verdict == "FAIL" and "sum it over the axes (0, 1)" in report["bias"].reason
    report = gradcheck(add, X, X[:, :1], backward=lambda dy, saved: (dy, dy))
    assert "sum it over the axes (1,), along which" in report["bias"].reason


def test_partial_binds_settings():
    report = gradcheck(functools.partial(ops.layer_norm, eps=0.1), X, X[0, 0], X[0, 1], backward=ops.layer_norm_backward)
    assert report and report.target == "layer_norm"
