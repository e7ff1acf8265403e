"""A dy of another shape, dtype, byte order or kind than y is an error, and never bits that a kernel reads as its own."""

import numpy as np
import pytest
from cases import Seeded, cast
from op_cases import LOSSES, OPS

from tinytx import ops

# A loss has a number as its dy.
NAMES = [name for name in OPS if not name.startswith(LOSSES)]
SWAPPED = np.dtype(np.float32).newbyteorder()

OTHERS = {
    "int": lambda y: np.ones(y.shape, int),
    "bool": lambda y: np.ones(y.shape, bool),
    "float64": lambda y: np.ones(y.shape),
    "float16": lambda y: np.ones(y.shape, np.float16),
    "complex": lambda y: np.ones(y.shape, np.complex64),
    "another byte order": lambda y: np.ones(y.shape, SWAPPED),
    "object": lambda y: np.ones(y.shape, object),
    "text": lambda y: np.full(y.shape, "1"),
    "record": lambda y: np.ones(y.shape, [("a", np.float32)]),
    "list": lambda y: np.ones(y.shape, np.float32).tolist(),
    "None": lambda y: None,
    "number": lambda y: 1.0,
}


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("part", [np.s_[:1], np.s_[..., :1], np.s_[:0]], ids=["one row", "one column", "nothing"])
def test_gradient_of_another_shape_is_refused(name, part):
    case = OPS[name](Seeded(0))
    y, saved = case.forward(case.arrays)
    with pytest.raises(ValueError, match=r"_backward: dy has shape .*, expected .* from"):
        case.backward(y[part], saved)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("kind", OTHERS)
def test_gradient_of_another_kind_is_refused(name, kind):
    """Catches integers that truncate the gradient to 0, and big-endian numbers read as little-endian ones."""
    case = OPS[name](Seeded(0))
    y, saved = case.forward(cast(case.arrays, np.float32))
    with pytest.raises(TypeError, match=r"_backward: dy is .*, expected float32, the dtype of y: convert with"):
        case.backward(OTHERS[kind](y), saved)


@pytest.mark.parametrize("dtype", [np.float32, np.float64])
def test_gradient_added_into_a_table_of_another_kind_is_refused(dtype):
    y, saved = ops.embedding(np.arange(3), np.ones((4, 2), dtype))
    locked = np.zeros((4, 2), dtype)
    locked.flags.writeable = False
    for out in (np.zeros((4, 2), int), np.zeros((4, 2), np.dtype(dtype).newbyteorder()), [[0.0] * 2] * 4):
        with pytest.raises(TypeError, match="embedding_backward: .*out is"):
            ops.embedding_backward(y, saved, out=out)
    for out in (np.zeros((2, 4), dtype).T, locked, np.zeros((3, 2), dtype)):
        with pytest.raises(ValueError, match="embedding_backward: out"):
            ops.embedding_backward(y, saved, out=out)


BACKWARDS = {
    "binary_cross_entropy": lambda: ops.binary_cross_entropy(np.ones((2, 3)), np.ones((2, 3), int)),
    "cross_entropy": lambda: ops.cross_entropy(np.ones((2, 3)), [0, 1]),
    "glove_loss": lambda: ops.glove_loss(np.ones((2, 3)), np.ones((2, 3)), np.ones(2), np.ones(2), [0, 1], [1, 1], np.ones(2)),
    "linear_cross_entropy": lambda: ops.linear_cross_entropy(np.ones((2, 4)), np.ones((4, 3)), [0, 1]),
    "soft_cross_entropy": lambda: ops.soft_cross_entropy(np.ones((2, 3)), np.ones((2, 3))),
    "kl_divergence": lambda: ops.kl_divergence(np.ones((2, 3)), [0, 1], pad_id=2),
    "logistic_rows": lambda: ops.logistic_rows(np.ones((2, 3)), np.ones((4, 3)), [[0], [3]], [[1], [0]]),
    "squared_error": lambda: ops.squared_error(np.ones((2, 3)), np.zeros((2, 3))),
    "tsne": lambda: ops.tsne(np.arange(6.0).reshape(3, 2), (1 - np.eye(3)) / 6),
}


@pytest.mark.parametrize("name", LOSSES)
@pytest.mark.parametrize("dloss", [np.ones(2), [1.0], None, "1", 1j, True, {}], ids=repr)
def test_gradient_of_a_loss_is_one_number(name, dloss):
    """Catches Numba's TypingError, and one number for each row, which a loss has not."""
    _, saved = BACKWARDS[name]()
    with pytest.raises(TypeError, match="_backward: dloss is .*, expected a number"):
        getattr(ops, f"{name}_backward")(dloss, saved)


@pytest.mark.parametrize("name", LOSSES)
def test_gradient_of_a_loss_may_be_any_kind_of_number(name):
    _, saved = BACKWARDS[name]()
    backward = getattr(ops, f"{name}_backward")
    expected = backward(2.0, saved)
    for dloss in (2, np.float32(2), np.int8(2), np.array(2.0)):
        gradients = backward(dloss, saved)
        for gradient, one in zip(gradients, expected, strict=True):  # arrays, or rows of the only one
            np.testing.assert_array_equal(gradient, one)
