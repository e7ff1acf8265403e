"""The properties themselves: each must reject a mistake that is planted in a case, and accept the case as it is.

Wrong backwards are planted in the library's source (the tables of `mutants`); here are mistakes of each property's kind.
A mutant of an operation is a function of (dy, saved, right), where ``right`` is the backward it stands in for; a mutant
of a layer changes the layer. The decorator says which case it is planted in and which property must see it.
"""

import numpy as np
import pytest
from cases import OpCase, Seeded
from layer_cases import LAYERS
from op_cases import OPS
from properties import (
    LAYER_PROPERTIES,
    check_accumulates,
    check_dtype,
    check_float32,
    check_gradient,
    check_inference,
    check_linear,
    check_reentrant,
    check_repeatable,
    check_rows_independent,
    check_strided,
    check_unmodified,
)

from tinytx import ops
from tinytx.ops.attention_patterns import FULL

MUTANTS = {}  # name -> (function (Maker) -> case, function (case) that plants the mistake, property)


def in_op(name, check):
    """Plant the decorated backward in a case of the table of operations."""

    def plant_in(case, mutant):
        right = case.op_backward
        case.op_backward = lambda dy, saved: mutant(dy, saved, right)

    return _register(OPS[name], check, plant_in)


def in_layer(name, check):
    """Let the decorated function change the layers of a case of the table of layers."""

    def plant_in(case, mutant):
        for layer in case.layers.values():
            mutant(layer)

    return _register(LAYERS[name], check, plant_in)


def in_forward(name, check):
    """Plant the decorated function, of (y, saved, arguments), behind the forward of an operation's case."""

    def plant_in(case, mutant):
        right = case.op
        case.op = lambda *arguments, **options: mutant(*right(*arguments, **options), arguments)

    return _register(OPS[name], check, plant_in)


def _register(case_of, check, plant_in):
    def register(mutant):
        MUTANTS[mutant.__name__] = case_of, lambda case: plant_in(case, mutant), check
        return mutant

    return register


# ---------------------------------------------------------------------------------------- elementwise


@in_op("gelu", check_float32)
def half_precision_inside(dy, saved, right):
    return right(dy.astype(np.float16).astype(dy.dtype) if dy.dtype == np.float32 else dy, saved)


@in_op("gelu", check_strided)
def elements_in_the_order_of_memory(dy, saved, right):
    return right(dy.ravel(order="K").reshape(dy.shape), saved)


@in_op("relu", check_linear)
def a_clipped_gradient(dy, saved, right):
    return right(np.clip(dy, -1, 1), saved)


@in_op("relu", check_unmodified)
def dy_multiplied_in_place(dy, saved, right):
    dy *= saved > 0
    return dy


@in_op("relu", check_unmodified)
def what_was_saved_used_as_a_buffer(dy, saved, right):
    saved[...] = dy * (saved > 0)
    return saved


@in_op("relu", check_dtype)
def a_numpy_scalar_that_promotes(dy, saved, right):
    return right(dy, saved) * np.sqrt(4.0) / np.float64(2)


@in_forward("relu", check_repeatable)
def random_numbers_of_its_own(y, saved, arguments):
    return y + np.random.default_rng().normal(size=y.shape), saved


@in_forward("relu", check_rows_independent)
def statistics_of_the_batch(y, saved, arguments):
    return y - y.mean(0), saved


# ---------------------------------------------------------------------------------------- tables and sums


@in_op("embedding", check_gradient)
def embedding_that_adds_once(dy, saved, right):
    dweight = np.zeros(saved.weight_shape)
    dweight[saved.ids] += dy
    return dweight


@in_op("cross_entropy ignoring, smoothed", check_gradient)
def loss_divided_by_ignored_targets_too(dy, saved, right):
    return right(dy, saved) * max(saved.count, 1) / (saved.targets.size + 1)


# ---------------------------------------------------------------------------------------- attention


@in_op("attention causal", check_gradient)
def causal_mask_aligned_at_the_top(dy, saved, right):
    t, s = saved.q.shape[2], saved.k.shape[2]
    return right(dy, saved._replace(pattern=FULL, mask=np.tri(t, s, dtype=bool)[None, None]))


# ---------------------------------------------------------------------------------------- layers


@in_layer("Linear", check_accumulates)
def a_gradient_that_is_assigned(layer):
    def backward(dy, tape):
        dx, layer.weight.grad, layer.bias.grad = ops.linear_backward(dy, tape.pop(layer))
        return dx

    layer.backward = backward


@in_layer("LayerNorm", check_reentrant)
def what_backward_needs_kept_on_the_layer(layer):
    right = type(layer).forward

    def forward(x, tape=None):
        y = right(layer, x, tape)
        if tape is not None:
            layer.saved = tape.pop(layer)
            tape.push(layer, None)
        return y

    def backward(dy, tape):
        tape.pop(layer)
        dx, dweight, dbias = ops.layer_norm_backward(dy, layer.saved)
        layer.weight.add_grad(dweight)
        layer.bias.add_grad(dbias)
        return dx

    layer.forward, layer.backward = forward, backward


@in_layer("FeedForward", check_reentrant)
def a_value_left_on_the_tape(layer):
    right = type(layer).forward

    def forward(x, tape=None):
        if tape is not None:
            tape.push(layer, x)
        return right(layer, x, tape)

    layer.forward = forward


@in_layer("FeedForward", check_inference)
def training_recognised_by_the_tape(layer):
    right = type(layer).forward
    layer.forward = lambda x, tape=None: right(layer, x, tape) * (1 if tape is None else 2)


# ---------------------------------------------------------------------------------------- the tests


def test_every_property_has_a_mistake():
    """A new property needs one, too."""
    assert {check for _, _, check in MUTANTS.values()} == set(LAYER_PROPERTIES)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("name", MUTANTS)
def test_mutant_is_rejected(name, seed):
    case_of, plant, check = MUTANTS[name]
    check(case_of(Seeded(seed)), np.random.default_rng(seed))
    case = case_of(Seeded(seed))
    plant(case)
    with pytest.raises((AssertionError, ValueError, RuntimeError)) as rejection:
        check(case, np.random.default_rng(seed))
    assert "INCONCLUSIVE" not in str(rejection.value)


def test_an_all_zero_gradient_of_a_small_function_is_rejected():
    """Catches an absolute tolerance: torch's gradcheck accepts this, at 1e-6 sin(x)."""
    arrays = {"x": Seeded(0).array(3, 4)}
    right = OpCase(lambda x: (1e-9 * np.sin(x), x), lambda dy, x: dy * 1e-9 * np.cos(x), arrays)
    check_gradient(right, np.random.default_rng(0))
    wrong = OpCase(lambda x: (1e-9 * np.sin(x), x), lambda dy, x: 0 * dy, arrays)
    with pytest.raises(AssertionError, match="analytic 0, numeric"):
        check_gradient(wrong, np.random.default_rng(0))


def test_a_forward_that_is_rounded_is_inconclusive():
    """The error bar says when a case cannot tell right from wrong."""
    arrays = {"x": Seeded(0).array(3, 4)}
    case = OpCase(lambda x: (np.round(np.sin(x), 3), x), lambda dy, x: dy * np.cos(x), arrays)
    with pytest.raises(AssertionError, match="INCONCLUSIVE"):
        check_gradient(case, np.random.default_rng(0))
