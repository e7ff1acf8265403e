"""Recurrent nets over a sequence: parts one after the other, padding anywhere, both directions, large numbers, refused gradients."""

import importlib

import numpy as np
import pytest
from cases import Seeded, signs
from op_cases import OPS
from recurrent_op_cases import CELLS

from tinytx import ops

cells = pytest.mark.parametrize("name", CELLS)


def pair(name):
    return getattr(ops, name), getattr(ops, f"{name}_backward")


def arrays_of(name, b=3, t=6, d=2, r=4):
    """Return x, the weights and biases, and the initial states."""
    make, (parts, biased, biases, states) = Seeded(0), CELLS[name]
    x, *weights = [make.array(*shape, scale=0.7) for shape in ((b, t, d), (d, parts * r), (r, parts * r))]
    weights += [make.array(biased * r, scale=0.7) for _ in biases]
    return x, weights, [make.array(b, r, scale=0.7) for _ in states]


def directions(outputs):
    return tuple(signs(np.random.default_rng(n), array.shape) for n, array in enumerate(outputs))


def assert_close(actual, expected, atol):
    for one, other in zip(actual, expected, strict=True):
        np.testing.assert_allclose(one, other, rtol=0, atol=atol)


@cells
@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.parametrize("cut", [0, 1, 4, 6])
def test_two_parts_are_the_whole(name, cut, reverse):
    """Forward and backward: the second part begins where the first ended, and sends the state's gradient back to it."""
    op, op_backward = pair(name)
    x, weights, initial = arrays_of(name)
    outputs, saved = op(x, *weights, *initial, reverse=reverse)
    dy, *dfinal = directions(outputs)
    dx, *gradients = op_backward((dy, *dfinal), saved)

    parts = [slice(cut, None), slice(cut)] if reverse else [slice(cut), slice(cut, None)]
    (y_1, *middle), first = op(x[:, parts[0]], *weights, *initial, reverse=reverse)
    (y_2, *final), second = op(x[:, parts[1]], *weights, *middle, reverse=reverse)
    order = slice(None, None, -1) if reverse else slice(None)
    assert_close((np.concatenate([y_1, y_2][order], axis=1), *final), outputs, 1e-14)
    dx_2, *rest = op_backward((dy[:, parts[1]], *dfinal), second)
    dweights_2, dmiddle = rest[: len(weights)], rest[len(weights) :]
    dx_1, *rest = op_backward((dy[:, parts[0]], *dmiddle), first)
    dweights = [*map(np.add, rest[: len(weights)], dweights_2)]
    assert_close([np.concatenate([dx_1, dx_2][order], axis=1), *dweights, *rest[len(weights) :]], [dx, *gradients], 1e-13)


@cells
@pytest.mark.parametrize("reverse", [False, True])
def test_padding_anywhere_is_as_if_it_were_not_there(name, reverse):
    """A row that is all padding too; what stands at padding reaches nothing."""
    op, op_backward = pair(name)
    x, weights, initial = arrays_of(name)
    mask = np.array([[1, 0, 0, 1, 1, 0], [0, 0, 0, 0, 0, 0], [1, 1, 1, 1, 1, 1]], bool)
    outputs, saved = op(np.where(mask[..., None], x, np.nan), *weights, *initial, mask=mask, reverse=reverse)
    dy = directions(outputs)
    (y, *final), (dx, *gradients) = outputs, op_backward(dy, saved._replace(x=np.nan_to_num(saved.x)))
    assert not y[~mask].any() and not dx[~mask].any()
    summed = [np.zeros_like(gradient) for gradient in gradients]
    for row, kept in enumerate(mask):
        own = slice(row, row + 1)
        alone, saved = op(x[own, kept], *weights, *(array[own] for array in initial), reverse=reverse)
        assert_close([y[own, kept], *(array[own] for array in final)], alone, 1e-15)
        dx_alone, *rest = op_backward((dy[0][own, kept], *(array[own] for array in dy[1:])), saved)
        np.testing.assert_allclose(dx[own, kept], dx_alone, rtol=0, atol=1e-14)
        for total, gradient in zip(summed, rest, strict=True):
            total[own if len(gradient) == 1 else ...] += gradient
    assert_close(gradients, summed, 1e-13)


@cells
def test_reverse_is_the_sequence_turned_round(name):
    """A mask with gaps turns round with it."""
    op, op_backward = pair(name)
    x, weights, initial = arrays_of(name)
    mask = np.array([[1, 1, 1, 0, 0, 0], [1, 0, 1, 1, 1, 0], [1, 1, 1, 1, 1, 1]], bool)
    (y, *final), saved = op(x, *weights, *initial, mask=mask, reverse=True)
    (turned, *expected), other = op(x[:, ::-1], *weights, *initial, mask=mask[:, ::-1])
    assert_close([y, *final], [turned[:, ::-1], *expected], 1e-15)
    dy, *dfinal = directions((y, *final))
    dx, *gradients = op_backward((dy, *dfinal), saved)
    dx_turned, *expected = op_backward((dy[:, ::-1], *dfinal), other)
    assert_close([dx, *gradients], [dx_turned[:, ::-1], *expected], 1e-14)


@cells
def test_without_a_state_it_begins_with_zeros(name):
    """And None among the gradients is one of zeros."""
    op, op_backward = pair(name)
    x, weights, initial = arrays_of(name)
    outputs, saved = op(x, *weights)
    expected, known = op(x, *weights, *(0 * array for array in initial))
    assert_close(outputs, expected, 0)
    dy = tuple(map(np.ones_like, outputs))
    assert_close(op_backward(dy, saved), op_backward(dy, known), 0)
    for n in range(len(dy)):
        unused = (*dy[:n], None, *dy[n + 1 :])
        assert_close(op_backward(unused, saved), op_backward((*dy[:n], 0 * dy[n], *dy[n + 1 :]), saved), 0)


@cells
@pytest.mark.parametrize("sizes", [(0, 3, 2, 4), (2, 0, 2, 4), (2, 3, 0, 4), (2, 3, 2, 0)])
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_axes_of_nothing(name, sizes, dtype):
    """Nothing to read: the state stays; no features: the bias alone moves it."""
    op, op_backward = pair(name)
    x, weights, initial = arrays_of(name, *sizes)
    arrays = [array.astype(dtype) for array in (x, *weights, *initial)]
    outputs, saved = op(*arrays)
    if sizes[1] == 0:
        assert_close(outputs[1:], arrays[-len(initial) :], 0)
    for gradient, array in zip(op_backward(tuple(map(np.ones_like, outputs)), saved), arrays, strict=True):
        assert gradient.shape == array.shape and gradient.dtype == dtype and np.isfinite(gradient).all()


@cells
@pytest.mark.parametrize("dtype", [np.float32, np.float64])
@pytest.mark.parametrize("size", [1e3, 1e30, np.inf])
def test_saturated_gates_are_whole_numbers(name, dtype, size):
    """Catches an exponential that overflows to infinity / infinity."""
    op, op_backward = pair(name)
    x, weights, initial = arrays_of(name)
    weights[2] = np.sign(weights[2]) * size
    outputs, saved = op(*(array.astype(dtype) for array in (x, *weights, *initial)))
    assert set(np.unique(saved.gates[-1])) <= {-1, 0, 1}
    gradients = op_backward(tuple(map(np.ones_like, outputs)), saved)
    assert all(np.isfinite(array).all() for array in (*outputs, *gradients))


@pytest.mark.parametrize("name", ["rnn", "gru", "lstm"])
def test_a_step_alone_is_a_sequence_of_one_position(name):
    """What a decoder with a loop of its own imports."""
    cell, (op, op_backward) = importlib.import_module(f"tinytx.ops.{name}").CELL, pair(name)
    x, (weight_x, weight_h, *biases), before = arrays_of(name, t=1)
    (y, *expected), saved = op(x, weight_x, weight_h, *biases, *before)
    gates, after = x[:, 0] @ weight_x, [np.empty_like(array) for array in before]
    kept = [np.empty_like(before[0]) for _ in range(cell.n_kept)]
    cell.step(*after, gates, *kept, before[0] @ weight_h, *biases, *before)
    assert_close(after, expected, 1e-15)
    dstates = directions(after)
    dx, dweight_x, dweight_h, *rest = op_backward((None, *dstates), saved)
    dpre = [np.empty_like(gates) for _ in biases]
    cell.step_backward(*dpre, *dstates, gates, *kept, *after, *before)
    dstates[0][...] += dpre[-1] @ weight_h.T
    assert_close([dpre[0] @ weight_x.T, x[:, 0].T @ dpre[0], before[0].T @ dpre[-1]], [dx[:, 0], dweight_x, dweight_h], 1e-14)
    assert_close([*(array.sum(axis=0) for array in dpre), *dstates], rest, 1e-14)


@cells
def test_gradients_of_another_number_are_refused(name):
    op, op_backward = pair(name)
    x, weights, initial = arrays_of(name)
    (y, h, *others), saved = op(x, *weights, *initial)
    with pytest.raises(TypeError, match=rf"{name}_backward: dy is not \(dy, dh.*\), expected because the forward returned \(y, h"):
        op_backward(y, saved)
    with pytest.raises(ValueError, match=rf"{name}_backward: dy has shape \(2, 4\), expected \(3, 4\)"):
        op_backward((y, h[:2], *others), saved)


@pytest.mark.parametrize(("name", "at", "shape", "message"), [
    ("lstm", 0, (3, 6), r"x has shape \(3, 6\), expected \(B, T, D\)"),
    ("gru", 1, (3, 12), r"weight_x has shape \(3, 12\), expected \(2, 12\) from x and weight_h of shapes"),
    ("lstm", 1, (3, 16), r"weight_x has shape \(3, 16\), expected \(2, 16\) from x and weight_h of shapes"),
    ("lstm", 2, (4, 12), r"weight_h has shape \(4, 12\), expected \(4, 16\) from its first axis"),
    ("rnn", 2, (4, 12), r"weight_h has shape \(4, 12\), expected \(4, 4\) from its first axis"),
    ("lstm", 3, (4,), r"bias has shape \(4,\), expected \(16,\)"),
    ("mlstm", 3, (20,), r"bias has shape \(20,\), expected \(16,\)"),
    ("gru", 4, (4,), r"bias_h has shape \(4,\), expected \(12,\)"),
    ("lstm", 4, (3, 5), r"h has shape \(3, 5\), expected \(3, 4\)"),
    ("lstm", 5, (2, 4), r"c has shape \(2, 4\), expected \(3, 4\)"),
])  # fmt: skip
def test_shapes_that_do_not_fit_are_named(name, at, shape, message):
    x, weights, initial = arrays_of(name)
    arrays = [x, *weights, *initial]
    arrays[at] = np.zeros(shape)
    with pytest.raises(ValueError, match=f"{name}: {message}"):
        getattr(ops, name)(*arrays)


def test_a_padded_case_has_padding():
    """The test of the test: the table's padded cases pad in some of their seeds."""
    for name in ("gru padded, reversed", "lstm padded"):
        assert any(not OPS[name](Seeded(seed)).options["mask"].all() for seed in range(4))
