"""Axes of size 0 and arrays without axes: an empty or a zero result, as in PyTorch, and never an odd exception."""

import numpy as np
import pytest

from tinytx import ops
from tinytx.ops.attention_patterns import CAUSAL, FULL
from tinytx.shapes import contiguous, rows

DTYPES = [np.float32, np.float64]
ELEMENTWISE = {"gelu": {}, "gelu_tanh": {}, "relu": {}, "tanh": {}, "scale": {"factor": 0.5}}


def empty(*shape, dtype=np.float64):
    return np.zeros(shape, dtype)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0,), (2, 0), (0, 3), (2, 3, 0), (0, 0)])
def test_rows_of_nothing_keep_their_number(shape, dtype):
    """Catches ``reshape(-1, 0)``, which cannot know how many rows there are."""
    matrix = rows(empty(*shape, dtype=dtype))
    assert matrix.shape == (np.prod(shape[:-1], dtype=int), shape[-1]) and matrix.dtype == dtype


@pytest.mark.parametrize("x", [np.array(2.0), np.float32(2), np.array(2), np.broadcast_to(1.0, ()), np.array(2.0).T])
def test_an_array_without_axes_stays_one(x):
    ready = contiguous(x)
    assert ready.shape == () and ready.dtype == x.dtype and ready.flags.carray


def test_an_array_between_addresses_is_copied():
    """Catches a kernel compiled anew, or a fault of the processor, for an array read out of the middle of a file."""
    x = np.frombuffer(b"\0" + np.arange(6, dtype=np.float32).tobytes(), np.float32, offset=1, count=6)
    assert not x.flags.aligned and contiguous(x).flags.aligned
    np.testing.assert_array_equal(ops.gelu(x)[0], ops.gelu(np.arange(6, dtype=np.float32))[0])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("name", ELEMENTWISE)
@pytest.mark.parametrize("shape", [(), (0,), (2, 0), (0, 3)])
def test_elementwise(name, shape, dtype):
    """Catches () that comes back as (1,), or as a NumPy scalar that the next operation does not take."""
    x = np.full(shape, 0.5, dtype)
    y, saved = getattr(ops, name)(x, **ELEMENTWISE[name])
    dx = getattr(ops, f"{name}_backward")(np.ones(shape, dtype), saved)
    for array in (y, dx):
        assert isinstance(array, np.ndarray) and array.shape == shape and array.dtype == dtype
    if shape == ():
        many, many_saved = getattr(ops, name)(np.full(1, 0.5, dtype), **ELEMENTWISE[name])
        assert y == many[0]
        assert dx == getattr(ops, f"{name}_backward")(np.ones(1, dtype), many_saved)[0]


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("sizes", [(0, 3, 4), (2, 0, 4), (2, 3, 0), (0, 0, 0)])
def test_linear(sizes, dtype):
    """A sum over nothing is 0: y is the bias, and dx and dW are 0 or empty."""
    n, d_in, d_out = sizes
    bias = np.full(d_out, 0.5, dtype)
    y, saved = ops.linear(empty(n, d_in, dtype=dtype), empty(d_in, d_out, dtype=dtype), bias)
    np.testing.assert_array_equal(y, np.full((n, d_out), 0.5))
    gradients = ops.linear_backward(np.ones_like(y), saved)
    for gradient, shape in zip(gradients, ((n, d_in), (d_in, d_out), (d_out,)), strict=True):
        assert gradient.shape == shape and gradient.dtype == dtype
    np.testing.assert_array_equal(gradients[2], n)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0,), (2, 0), (2, 3, 0), (0, 4)])
def test_operations_on_the_last_axis(shape, dtype):
    x = empty(*shape, dtype=dtype)
    weight = np.ones(shape[-1], dtype)
    for op, op_backward, arguments in (
        (ops.softmax, ops.softmax_backward, ()),
        (ops.dropout, ops.dropout_backward, (0.5, 3)),
        (ops.layer_norm, ops.layer_norm_backward, (weight, weight)),
        (ops.rms_norm, ops.rms_norm_backward, (weight,)),
    ):
        y, saved = op(x, *arguments)
        gradients = op_backward(y, saved)
        dx, *others = gradients if isinstance(gradients, tuple) else (gradients,)
        assert y.shape == dx.shape == shape and y.dtype == dx.dtype == dtype
        assert all(other.shape == weight.shape and not other.any() for other in others)


@pytest.mark.parametrize("dtype", DTYPES)
def test_nothing_to_turn(dtype):
    for shape, n in (((0, 2, 3, 4), 2), ((2, 0, 3, 4), 2), ((2, 3, 0, 4), 1), ((2, 3, 1, 0), 0), ((2, 3, 1, 5), 0)):
        x = empty(*shape, dtype=dtype)
        y, saved = ops.rotate(x, np.ones(n))
        np.testing.assert_array_equal(y, x)
        assert y.dtype == dtype and ops.rotate_backward(y, saved).shape == shape


@pytest.mark.parametrize("dtype", DTYPES)
def test_tables_without_columns_or_rows(dtype):
    for ids, table in (([[1, 2]], (3, 0)), (np.zeros((0, 2), int), (3, 4)), (np.zeros((2, 0), int), (0, 4))):
        y, saved = ops.embedding(ids, empty(*table, dtype=dtype))
        assert y.shape == (*np.shape(ids), table[1]) and y.dtype == dtype
        assert ops.embedding_backward(y, saved).shape == table
    y, saved = ops.select_rows(empty(2, 3, 0, dtype=dtype), [0, 5])
    assert y.shape == (2, 0) and ops.select_rows_backward(y, saved).shape == (2, 3, 0)
    y, saved = ops.select_rows(np.ones((2, 3, 4), dtype), [])
    assert y.shape == (0, 4) and not ops.select_rows_backward(y, saved).any()
    for shape in ((0, 3, 4), (2, 0, 4), (2, 3, 0)):
        y, saved = ops.add_positions(empty(*shape, dtype=dtype), np.ones((5, shape[2]), dtype))
        dx, dtable = ops.add_positions_backward(y, saved)
        assert y.shape == dx.shape == shape and dtable.shape == (5, shape[2])
    assert ops.sinusoidal_positions(0, 4).shape == (0, 4) and ops.sinusoidal_positions(4, 0).shape == (4, 0)
    with pytest.raises(ValueError, match="embedding: token id 0 at position .* is not allowed: there are no ids"):
        ops.embedding([0], empty(0, 4))


@pytest.mark.parametrize("dtype", DTYPES)
def test_one_id_gives_one_row(dtype):
    """Catches (1, D), and a row that is a view of the table."""
    weight = np.arange(12, dtype=dtype).reshape(4, 3)
    for index in (2, np.int32(2), np.array(2)):
        y, saved = ops.embedding(index, weight)
        assert y.shape == (3,) and not np.shares_memory(y, weight)
        dweight = ops.embedding_backward(np.ones(3, dtype), saved)
        np.testing.assert_array_equal(dweight, [[0] * 3, [0] * 3, [1] * 3, [0] * 3])


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("pattern", [FULL, CAUSAL])
def test_attention_of_width_0(pattern, dtype):
    """Catches 1 / sqrt(0): the result is empty, and the weights are equal, since every score is a sum over nothing."""
    q = empty(2, 3, 4, 0, dtype=dtype)
    y, saved = ops.attention(q, q, q, pattern=pattern)
    assert y.shape == q.shape
    assert all(gradient.shape == q.shape for gradient in ops.attention_backward(y, saved))
    allowed = np.tri(4, dtype=dtype) if pattern is CAUSAL else np.ones((4, 4), dtype)
    np.testing.assert_allclose(
        ops.attention_weights(saved), np.broadcast_to(allowed / allowed.sum(1, keepdims=True), (2, 3, 4, 4)), rtol=1e-6
    )


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("shape", [(0, 3), (2, 0, 3)])
def test_losses_of_no_rows_are_0_in_a_part(shape, dtype):
    """Catches a shard without rows: with the whole's count its share of the loss is 0."""
    logits, targets = empty(*shape, dtype=dtype), np.zeros(shape[:-1], int)
    loss, saved = ops.cross_entropy(logits, targets, count=5)
    assert loss == 0 and ops.cross_entropy_backward(1.0, saved).shape == shape
    loss, saved = ops.kl_divergence(logits, targets, pad_id=1, count=5)
    assert loss == 0 and ops.kl_divergence_backward(1.0, saved).shape == shape
    loss, saved = ops.linear_cross_entropy(logits, np.ones((3, 6), dtype), targets, count=5)
    dx, dweight = ops.linear_cross_entropy_backward(1.0, saved)
    assert loss == 0 and dx.shape == shape and dweight.shape == (3, 6) and not dweight.any()
