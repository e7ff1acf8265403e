"""Long short-term memory as a layer: a state that goes along a sequence, and from one part of a text to the next."""

import math

import numpy as np

from tinytx import ops
from tinytx.arguments import check_sizes
from tinytx.core import Layer, Parameter
from tinytx.shapes import check_dtype


class LSTM(Layer):
    """One layer of `tinytx.ops.lstm`, from left to right.

    Several layers are several objects: each reads the outputs of the one before.

    Parameters
    ----------
    d_in, d_state : int
        Widths of the input and of the state, D and R.
    rng : numpy.random.Generator
        All weights start uniform in +-1/sqrt(R), as in PyTorch. PyTorch adds two biases; the one here starts as the sum
        of two such numbers.
    dtype : float32 or float64

    Attributes
    ----------
    weight_x : Parameter (D, 4 R)
        PyTorch's ``weight_ih``, transposed; the gates in the order i, f, g, o.
    weight_h : Parameter (R, 4 R)
        ``weight_hh``, transposed.
    bias : Parameter (4 R,)
        ``bias_ih + bias_hh``.
    """

    def __init__(self, d_in, d_state, *, rng, dtype=np.float32):
        check_sizes("LSTM", d_in=d_in, d_state=d_state)
        dtype, bound = check_dtype("LSTM", dtype), 1 / math.sqrt(max(1, d_state))

        def draw(*shape):
            return rng.uniform(-bound, bound, shape)

        self.weight_x = Parameter(draw(d_in, 4 * d_state).astype(dtype))
        self.weight_h = Parameter(draw(d_state, 4 * d_state).astype(dtype))
        self.bias = Parameter((draw(4 * d_state) + draw(4 * d_state)).astype(dtype))

    def forward(self, x, h=None, c=None, tape=None, *, mask=None, state=None):
        """Return the output of each position.

        Parameters
        ----------
        x : array (B, T, D)
        h, c : array (B, R), optional
            Output and cell before the first position, 0 if not given.
        tape : Tape, optional
        mask : boolean array that broadcasts to (B, T), optional
            False at padding, where h and c stay as they are and the output is 0.
        state : State, optional
            In place of h and c: those that the last call ended with, which are constants of this one. Afterwards it
            holds those that this call ended with.

        Returns
        -------
        array (B, T, R)

        Raises
        ------
        ValueError
            If h or c are given together with a state.
        """
        given = h is not None or c is not None
        if given and state is not None:
            raise ValueError("LSTM: h and c are given, and a state holds them too: give one of them")
        slot = None if state is None else state.next()
        if slot is not None and slot.arrays:
            h, c = slot.arrays
        weights = self.weight_x.data, self.weight_h.data, self.bias.data
        (y, *final), saved = ops.lstm(x, *weights, h, c, mask=mask)
        if slot is not None:
            slot.arrays = tuple(final)
        if tape is not None:
            tape.push(self, (saved, given))
        return y

    def backward(self, dy, tape):
        """Return dx, or (dx, dh, dc) where the forward had h and c."""
        saved, given = tape.pop(self)
        dx, dweight_x, dweight_h, dbias, dh, dc = ops.lstm_backward((dy, None, None), saved)
        self.weight_x.add_grad(dweight_x, fresh=True)
        self.weight_h.add_grad(dweight_h, fresh=True)
        self.bias.add_grad(dbias, fresh=True)
        return (dx, dh, dc) if given else dx
