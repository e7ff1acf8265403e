"""Faults in linear maps, tables and dropout: what is summed over rows, and how often."""

import math

import numpy as np

from bug_zoo.specimen import MUTANT, RIGHT, Specimen, draw, fault, rng
from tinytx import ops
from tinytx.layers import Embedding


def bias_mean(dy, saved):
    """A linear map's bias gradient averaged over the rows where it should be summed.

    A mutant, hidden by a single row, and from training by Adam, which is blind to scale.
    """
    dx, dweight, dbias = ops.linear_backward(dy, saved)
    return dx, dweight, dbias * dy.shape[-1] / dy.size


def weight_transposed(dy, saved):
    """A linear map's weight gradient as dY^T X instead of X^T dY.

    A mutant, hidden by one width for everything: where weights are square, the shapes fit.
    """
    dx, dweight, dbias = ops.linear_backward(dy, saved)
    return dx, dweight.T, dbias


def repeated_once(dy, saved):
    """An embedding's gradient as ``dweight[ids] += dy``, which NumPy carries out once for an id that occurs twice.

    A mutant, and a well-known trap, hidden by test sentences without a repeated word.
    """
    dweight = np.zeros(saved.weight_shape, dy.dtype)
    dweight[saved.ids] += dy
    return dweight


def first_row_only(dy, saved):
    """The gradient of a table of positions taken from the batch's first row: the sum over the batch is missing.

    A mutant, hidden by batches of one row.
    """
    first = np.arange(len(dy))[:, None, None] == 0
    return dy, ops.add_positions_backward(dy * first, saved)[1]


def dropout_unscaled(dy, saved):
    """Dropout's backward with the mask and without 1/(1 - p).

    A mutant, hidden by p = 0.
    """
    return ops.dropout_backward(dy, saved) * (1 - saved.p)


def dropout_redrawn(dy, saved):
    """Dropout's backward with a mask drawn anew.

    A mutant, hidden by p = 0.
    """
    return ops.dropout_backward(dy, saved._replace(key=saved.key + 1))


class ByteIds(Embedding):
    """An embedding that keeps its ids in int8, where 200 is -56: the 57th word from the end.

    Found in numpy-gpt, hidden by vocabularies of up to 128 words. The gradient goes to the same wrong row.
    """

    def forward(self, ids, tape=None):
        ids = ids.astype(np.int8)
        if tape is not None:
            tape.push(self, ids)
        return self.weight.data[ids]

    def backward(self, dy, tape):
        dweight = np.zeros_like(self.weight.data)
        np.add.at(dweight, tape.pop(self), dy)
        self.weight.add_grad(dweight)


class Scaled(Embedding):
    """An embedding times sqrt(D), the number being one of Python's."""

    sqrt = staticmethod(math.sqrt)

    def forward(self, ids, tape=None):
        return super().forward(ids, tape) * self.sqrt(self.weight.data.shape[1])

    def backward(self, dy, tape):
        super().backward(dy * self.sqrt(self.weight.data.shape[1]), tape)


class Promoting(Scaled):
    """The same, the number being one of NumPy's: float32 times np.float64 is float64.

    Found in autograd (issue 199) and numpy-gpt, hidden by values that are right: all that follows takes twice the
    memory and twice the time.
    """

    sqrt = staticmethod(np.sqrt)


def looked_up(layer, ids):
    """Return an embedding as it is meant."""
    return layer.weight.data[ids]


X, TABLE = draw(3, 4, 5), draw(7, 5)
IDS = np.array([[1, 4, 1], [0, 1, 6]])

LINEAR = Specimen(ops.linear, (X, draw(5, 6), draw(6)), ops.linear_backward)
SQUARE = Specimen(ops.linear, (X, draw(5, 5), draw(5)), ops.linear_backward)
LOOKUP = Specimen(ops.embedding, (IDS, TABLE), ops.embedding_backward)
POSITIONS = Specimen(ops.add_positions, (X, TABLE), ops.add_positions_backward)
DROPOUT = Specimen(lambda x: ops.dropout(x, 0.3, 5), (X,), ops.dropout_backward)
NO_DROPOUT = {"target": lambda x: ops.dropout(x, 0.0, 5)}
WORDS = Specimen(Embedding(220, 2, rng=rng()), (np.array([[200, 3]]),))
SCALED = Specimen(Scaled(7, 5, rng=rng()), (IDS,))

FAULTS = [
    fault(
        "bias gradient averaged over the rows", LINEAR, {"backward": bias_mean},
        found_in=MUTANT, hidden_by="a single row", fails=("bias",),
        says="a factor 12 = 3 x 4, sizes of this problem is missing",
        unseen={"inputs": (X[:1, :1], *LINEAR.inputs[1:])},
    ),
    fault(
        "weight gradient transposed", SQUARE, {"backward": weight_transposed},
        found_in=MUTANT, hidden_by="one width for everything", fails=("weight",), says="transposed",
    ),
    fault(
        "a repeated id counted once", LOOKUP, {"backward": repeated_once},
        found_in=MUTANT, hidden_by="ids without repetition", fails=("weight",),
        places={(1,)}, says="only index 1 of axis 0", unseen={"inputs": (np.array([[0, 3], [5, 1]]), TABLE)},
    ),
    fault(
        "positions not summed over the batch", POSITIONS, {"backward": first_row_only},
        found_in=MUTANT, hidden_by="a batch of 1", fails=("table",),
        places={(0,), (1,), (2,), (3,)}, unseen={"inputs": (X[:1], TABLE)},
    ),
    fault(
        "dropout's backward without its scale", DROPOUT, {"backward": dropout_unscaled},
        found_in=MUTANT, hidden_by="dropout 0", fails=("x",), says="analytic = 0.7 x numeric", unseen=NO_DROPOUT,
    ),
    fault(
        "dropout's backward with another mask", DROPOUT, {"backward": dropout_redrawn},
        found_in=MUTANT, hidden_by="dropout 0", fails=("x",), unseen=NO_DROPOUT,
    ),
    fault(
        "token ids of int8", WORDS, {"target": ByteIds(220, 2, rng=rng())},
        found_in="numpy-gpt", hidden_by="small vocabularies", caught_by="formula", settings={"formula": looked_up},
        unseen={"target": ByteIds(128, 2, rng=rng()), "inputs": (np.array([[127, 3]]),)}, unseen_by="formula",
    ),
    fault(
        "float32 promoted by a NumPy scalar", SCALED, {"target": Promoting(7, 5, rng=rng())},
        found_in="autograd 199, numpy-gpt", hidden_by=RIGHT, caught_by="check_shapes_and_dtypes",
        says="float64", unseen={},
    ),
]
