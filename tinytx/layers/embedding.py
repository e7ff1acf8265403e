"""Embeddings of tokens and of positions."""

import math
from functools import partial

import numpy as np

from tinytx import ops
from tinytx.arguments import check_number, check_probability, check_sizes, check_whole
from tinytx.core import Layer, Parameter
from tinytx.layers.init import normal
from tinytx.shapes import check_dtype


class Embedding(Layer):
    """A row of a learned table for each id.

    Parameters
    ----------
    vocab_size, d_model : int
    scale : float
        Multiplies the rows. It is sqrt(D) in Vaswani et al. 2017, section 3.4, where an output layer shares the table.
    word_dropout : float in [0, 1)
        If the tape has a seed: with this probability a word is left out of a step, wherever it stands
        (`tinytx.ops.word_dropout`).
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array

    Attributes
    ----------
    weight : Parameter (V, D)
    """

    def __init__(self, vocab_size, d_model, *, scale=1.0, word_dropout=0.0, rng, dtype=np.float32, init=normal(1.0)):
        check_sizes("Embedding", vocab_size=vocab_size, d_model=d_model)
        self.word_dropout = check_probability("Embedding", "word_dropout", word_dropout)
        self.weight = Parameter(init(rng, (vocab_size, d_model)).astype(check_dtype("Embedding", dtype)))
        self.scale = check_number("Embedding", "scale", scale, "a finite number", math.isfinite)

    def forward(self, ids, tape=None):
        """Ids (...) -> (..., D); raises ValueError if an id is not in 0..V-1."""
        y, saved = ops.embedding(ids, self.weight.data)
        key = tape.dropout_key() if tape is not None and self.word_dropout else None
        y, dropped = (y, None) if key is None else ops.word_dropout(y, ids, self.word_dropout, key)
        y, scaled = (y, None) if self.scale == 1 else ops.scale(y, self.scale)
        if tape is not None:
            tape.push(self, (saved, dropped, scaled))
        return y

    def backward(self, dy, tape):
        """Return None: ids have no gradient."""
        saved, dropped, scaled = tape.pop(self)
        dy = dy if scaled is None else ops.scale_backward(dy, scaled)
        dy = dy if dropped is None else ops.word_dropout_backward(dy, dropped)
        self.weight.add_into_grad(partial(ops.embedding_backward, dy, saved))  # can be sent to other machines


class LearnedPositions(Layer):
    """Adds a learned vector for each position.

    Parameters
    ----------
    max_len, d_model : int
    unused : int
        Number of rows of the table that stand before the row of the first position.
    rng : numpy.random.Generator
    dtype : float32 or float64
    init : function (rng, shape) -> array

    Attributes
    ----------
    weight : Parameter (unused + max_len, D)
    """

    def __init__(self, max_len, d_model, *, unused=0, rng, dtype=np.float32, init=normal(0.02)):
        check_sizes("LearnedPositions", max_len=max_len, d_model=d_model, unused=unused)
        self.unused = unused
        self.weight = Parameter(init(rng, (unused + max_len, d_model)).astype(check_dtype("LearnedPositions", dtype)))

    def forward(self, x, tape=None, *, start=0):
        """(B, T, D) -> (B, T, D); the position of the first element is ``start``."""
        y, saved = ops.add_positions(x, self.weight.data, self.unused + start)
        if tape is not None:
            tape.push(self, saved)
        return y

    def backward(self, dy, tape):
        dx, dweight = ops.add_positions_backward(dy, tape.pop(self))
        self.weight.add_grad(dweight, fresh=True)
        return dx


class SinusoidalPositions(Layer):
    """Adds the fixed sinusoids of Vaswani et al. 2017. There are no parameters, and dx is dy.

    Parameters
    ----------
    max_len, d_model : int
    doubled, halves : bool
        Whether the exponents in the angles are doubled, and whether all sines stand before all cosines: equations (5)
        and (6) of `tinytx.ops.positions`.
    dtype : float32 or float64
    """

    def __init__(self, max_len, d_model, *, doubled=False, halves=False, dtype=np.float32):
        self.table = ops.sinusoidal_positions(max_len, d_model, dtype, doubled=doubled, halves=halves)

    def forward(self, x, tape=None, *, start=0):
        """(B, T, D) -> (B, T, D); the position of the first element is ``start``."""
        return ops.add_positions(x, self.table, start)[0]

    def backward(self, dy, tape):
        return dy


class GridPositions(SinusoidalPositions):
    """Adds the fixed sinusoids of a grid's rows and columns (Beyer et al. 2022): `tinytx.ops.sinusoidal_grid`.

    Parameters
    ----------
    n_rows, n_columns, d_model : int
    leading : int
        Number of positions before the grid, such as 1 for a class token. Nothing is added to them.
    dtype : float32 or float64
    """

    def __init__(self, n_rows, n_columns, d_model, *, leading=0, dtype=np.float32):
        leading = check_whole("GridPositions", "leading", leading, 0)
        self.table = np.pad(ops.sinusoidal_grid(n_rows, n_columns, d_model, dtype), ((leading, 0), (0, 0)))
