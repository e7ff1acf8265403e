"""Layers whose weights are whole numbers of 8 bits, and a model made of them: `tinytx.ops.quantized_linear`.

A matrix is a quarter as large as in float32, so that a model that writes one word after the other, which reads every matrix
for each of them, is faster. What a matrix is multiplied by is rounded to 16 bits, row by row, in each call. Biases, norms and
positions stay floats. Where an output layer shares the table of embeddings, both share the rounded one. These layers have no
backward: train the floats, and round them then.
"""

import numpy as np

from tinytx import ops
from tinytx.core import Layer
from tinytx.layers.embedding import Embedding
from tinytx.layers.linear import Linear, TiedLinear
from tinytx.members import is_altered


class QuantizedMatrix:
    """A matrix in 8 bits, which several layers may share: `tinytx.ops.quantize_rows`.

    Parameters
    ----------
    matrix : array (M, K), float32 or float64
    out : int8 array (M, K), optional
        Where to write it.

    Attributes
    ----------
    weight : int8 array (M, K)
    steps : array (M,), the dtype of ``matrix``
    """

    def __init__(self, matrix, out=None):
        self.weight, self.steps = ops.quantize_rows(matrix, out=out)

    @property
    def data(self):
        """The rounded matrix as floats (M, K): a new array, for what reads a parameter's ``data``."""
        return self.weight * self.steps[:, None]


class Quantized(Layer):
    """What layers with weights in 8 bits share: they are used, and neither trained nor saved."""

    def backward(self, dy, tape):
        place = f"{type(self).__name__}: weights in 8 bits have no gradient"
        raise TypeError(f"{place}: train the model that it was made of, and call quantized() then")

    def check_saved(self, path):
        raise ValueError(
            f"{type(self).__name__}: {path or 'it'} has weights in 8 bits, which are in no file: save or load the model that it was "
            "made of, and call quantized() after loading"
        )

    def add_matrix_grad(self, dmatrix):
        self.backward(dmatrix, None)


class QuantizedLinear(Quantized):
    """The linear map y = x W + b, with W in 8 bits and a step for each output, and x in 16 bits and a step for each row.

    Parameters
    ----------
    weight : QuantizedMatrix
        (d_out, d_in): a row for each output.
    bias : Parameter (d_out,), optional
    """

    def __init__(self, weight, bias=None):
        self.weight, self.bias = weight, bias

    @property
    def d_in(self):
        """The width of the input."""
        return self.weight.weight.shape[1]

    @property
    def matrix(self):
        """W (d_in, d_out) as floats: a new array, for an operation that contains the product."""
        return self.weight.data.T

    def forward(self, x, tape=None):
        """(..., d_in) -> (..., d_out). Nothing is kept: there is no backward. A row of x that is not finite gives NaN."""
        return ops.quantized_linear(x, self.weight.weight, self.weight.steps, self.bias.data if self.bias else None)


class QuantizedEmbedding(Quantized):
    """A row of a table in 8 bits for each id.

    Parameters
    ----------
    weight : QuantizedMatrix
        (V, D).
    scale : float
        Multiplies the rows, as of `Embedding`.
    """

    def __init__(self, weight, scale=1.0):
        self.weight, self.scale = weight, scale

    def forward(self, ids, tape=None):
        """Ids (...) -> (..., D). Nothing is kept: there is no backward."""
        y = ops.quantized_embedding(ids, self.weight.weight, self.weight.steps)
        return y if self.scale == 1 else ops.scale(y, self.scale)[0]


def quantized(model):
    """Return a copy of a model, whose linear maps and embeddings have weights in 8 bits.

    Everything else is shared with the model: no other array is copied. Layers of a subclass of your own, or with
    a forward of your own, stay as they are.

    Parameters
    ----------
    model : Layer

    Returns
    -------
    Layer
        Of the same class. Its backward raises TypeError.

    Raises
    ------
    ValueError
        If a weight is not finite.

    Examples
    --------
    >>> from tinytx.layers import Sequential
    >>> rng = np.random.default_rng(0)
    >>> model = Sequential(Linear(64, 64, rng=rng), Linear(64, 64, rng=rng))
    >>> x = rng.normal(size=(1, 64)).astype(np.float32)
    >>> y, rounded = model(x), quantized(model)(x)
    >>> bool(0 < abs(y - rounded).max() < 0.02 * abs(y).max())
    True
    """
    copied = model.replicate()
    paths = {layer: path for path, layer in copied.named_layers() if type(layer) in KINDS and not is_altered(layer)}
    layers = list(paths)
    wanted = {_key(layer): _rows(layer) for layer in layers}  # what is shared stays shared
    memory, start, matrices = np.empty(sum(rows.size for rows in wanted.values()), np.int8), 0, {}
    for key, rows in wanted.items():
        try:
            matrices[key] = QuantizedMatrix(rows, out=memory[start : start + rows.size].reshape(rows.shape))
        except ValueError as error:
            path = next(path for layer, path in paths.items() if _key(layer) == key)
            raise ValueError(f"{type(model).__name__}: {path}: {error}: load a checkpoint from before the loss was NaN") from error
        start += rows.size
    return _with_parts(copied, {id(layer): KINDS[type(layer)](layer, matrices[_key(layer)]) for layer in layers}, {})


KINDS = {
    Linear: lambda layer, matrix: QuantizedLinear(matrix, layer.bias),
    TiedLinear: lambda layer, matrix: QuantizedLinear(matrix, layer.bias),
    Embedding: lambda layer, matrix: QuantizedEmbedding(matrix, layer.scale),
}


def _key(layer):
    """Return by what layers with the same rounded matrix are known: the same weights, with the same rows."""
    return id(layer.weight), type(layer) is Linear


def _rows(layer):
    """Return the weights of a layer with a row for each output, or for each word."""
    return layer.weight.data.T if type(layer) is Linear else layer.weight.data


def _with_parts(thing, new, made):
    """Return a layer, or a list, tuple or dict of layers, with ``new[id(layer)]`` in the place of each layer for which it is there."""
    if isinstance(thing, Layer):
        if id(thing) not in made:
            holder = made[id(thing)] = new.get(id(thing), thing)
            for name, part in list(vars(holder).items()):
                if isinstance(part, Layer | list | tuple | dict):
                    setattr(holder, name, _with_parts(part, new, made))
        return made[id(thing)]
    if isinstance(thing, dict):
        return {key: _with_parts(part, new, made) for key, part in thing.items()}
    if type(thing) in (list, tuple):
        return type(thing)(_with_parts(part, new, made) for part in thing)
    return thing
