"""Recurrent layers: a state that goes along a sequence, and from one part of a text to the next.

All of them are called in one way. States are arrays (B, R): h, or h and c of an LSTM. A layer has ``n_states`` of them::

    y = layer(x, tape, mask=mask)                         # begins with zeros
    y, *states = layer(x, tape, mask=mask, final=True)    # and what it ended with
    y = layer(x, *states, tape)                           # begins with these, as a decoder with its encoder's

Backward takes the gradients of what forward returned, None for what nothing uses, and returns those of what it was given.

``weight_drop`` is the dropout of the weights from state to state (DropConnect: Wan et al. 2013; on these weights: Merity et
al. 2017, 1708.02182). If the tape has a seed, each call has a mask m of zeros, with probability p, and ones, for all its
rows and positions, and goes along the sequence with

    W = Wh m / (1 - p)      in place of Wh; so      dWh = dW m / (1 - p).
"""

import math

import numpy as np

from tinytx import ops
from tinytx.arguments import check_flag, check_probability, check_sizes
from tinytx.core import Layer, Parameter
from tinytx.ops.gru import CELL as GRU_CELL
from tinytx.ops.lstm import CELL as LSTM_CELL
from tinytx.ops.mlstm import CELL as MLSTM_CELL
from tinytx.ops.original_gru import CELL as ORIGINAL_GRU_CELL
from tinytx.ops.recurrent import biased_parts, carried
from tinytx.ops.rnn import CELL as RNN_CELL
from tinytx.shapes import check_dtype


class Recurrent(Layer):
    """One layer with one direction: what `RNN`, `GRU` and `LSTM` share. The class's ``cell`` names the operation."""

    cell = None

    def __init__(self, d_in, d_state, *, reverse=False, weight_drop=0.0, rng, dtype=np.float32):
        place = type(self).__name__
        check_sizes(place, d_in=d_in, d_state=d_state)
        dtype, bound, wide = check_dtype(place, dtype), 1 / math.sqrt(max(1, d_state)), self.cell.parts * d_state
        self.reverse = check_flag(place, "reverse", reverse)
        self.weight_drop = check_probability(place, "weight_drop", weight_drop)

        def draw(*shape):
            return rng.uniform(-bound, bound, shape)

        self.weight_x = Parameter(draw(d_in, wide).astype(dtype))
        self.weight_h = Parameter(draw(d_state, wide).astype(dtype))
        biases = [draw(biased_parts(self.cell) * d_state) for _ in range(2)]
        for name, bias in zip(self.cell.biases, biases if len(self.cell.biases) == 2 else [sum(biases)]):
            setattr(self, name, Parameter(bias.astype(dtype)))

    @property
    def n_states(self):
        """Number of arrays that its state consists of."""
        return len(self.cell.states)

    def _parameters(self):
        """Return the parameters in the operation's order."""
        return [self.weight_x, self.weight_h, *(getattr(self, name) for name in self.cell.biases)]

    def forward(self, x, *initial, tape=None, mask=None, state=None, final=False):
        """Return the output of each position.

        Parameters
        ----------
        x : array (B, T, D)
        *initial : arrays (B, R), optional
            The state before the first position, all of it; 0 if not given.
        tape : Tape, optional
        mask : boolean array that broadcasts to (B, T), optional
            False at padding, where the state stays as it is and the output is 0.
        state : State, optional
            In place of ``initial``: what the last call ended with, which is a constant of this one. Afterwards it holds
            what this call ended with.
        final : bool
            Whether to return the state after the last position too.

        Returns
        -------
        array (B, T, R), or a tuple of it and of the final state's arrays (B, R)

        Raises
        ------
        ValueError
            If the state has another number of arrays, is given twice, or a ``state`` is given to a layer that reads from
            the right.
        """
        place, slot = type(self).__name__, None if state is None else state.next()
        if len(initial) not in (0, self.n_states):
            names = " and ".join(self.cell.states)
            raise ValueError(f"{place}: {len(initial)} arrays of an initial state are given, expected {names}, or none")
        if slot is not None and (initial or self.reverse):
            facts = "an initial state is given, and a state holds one too: give one of them"
            right = "it reads from the right, and what follows is not read yet: a state goes from left to right only"
            raise ValueError(f"{place}: {facts if initial else right}")
        arrays = initial if slot is None else slot.arrays
        weight_x, weight_h, *biases = (parameter.data for parameter in self._parameters())
        key, dropped = tape.dropout_key() if tape is not None and self.weight_drop else None, None
        if key is not None:
            weight_h, dropped = ops.dropout(weight_h, self.weight_drop, key)  # W; the same in every shard of a batch
        op = getattr(ops, self.cell.name)
        (y, *states), saved = op(x, weight_x, weight_h, *biases, *arrays, mask=mask, reverse=self.reverse)
        if slot is not None:
            slot.arrays = tuple(states)
        if tape is not None:
            tape.push(self, (saved, dropped, bool(initial), final))
        return (y, *states) if final else y

    def backward(self, dy, tape):
        """Return dx, or (dx, *gradients of the initial state) where forward was given one.

        Parameters
        ----------
        dy : array (B, T, R), or a tuple
            Of what forward returned; None in a tuple for what nothing uses.
        tape : Tape
        """
        saved, dropped, given, final = tape.pop(self)
        dy = dy if final else (dy, *(None for _ in self.cell.states))
        dx, *gradients = getattr(ops, f"{self.cell.name}_backward")(dy, saved)
        if dropped is not None:
            gradients[1] = ops.dropout_backward(gradients[1], dropped)  # dWh
        for parameter in self._parameters():
            parameter.add_grad(gradients.pop(0), fresh=True)
        return (dx, *gradients) if given else dx


    def carried(self, x, *initial, mask=None, state=None, final=False):
        """Return what the layer has at each position, without dropout, for pages: what it reads, its states and gates.

        Arguments as for `forward`.

        Returns
        -------
        tinytx.ops.recurrent.Carried

        Raises
        ------
        ValueError
            If a ``state`` is given.
        """
        if state is not None:
            raise ValueError(f"{type(self).__name__}: carried got a state, expected none: hand in the whole x")
        parameters = (parameter.data for parameter in self._parameters())
        _, saved = getattr(ops, self.cell.name)(x, *parameters, *initial, mask=mask, reverse=self.reverse)
        return carried(self.cell, saved)


class RNN(Recurrent):
    """One layer of `tinytx.ops.rnn`.

    Parameters
    ----------
    d_in, d_state : int
        Widths of the input and of the state, D and R.
    reverse : bool
        Whether it reads from the last position to the first.
    weight_drop : float in [0, 1)
        Dropout of ``weight_h``.
    rng : numpy.random.Generator
        All weights start uniform in +-1/sqrt(R), as in PyTorch. PyTorch adds two biases; the one here starts as the sum
        of two such numbers.
    dtype : float32 or float64

    Attributes
    ----------
    weight_x : Parameter (D, R)
        PyTorch's ``weight_ih``, transposed.
    weight_h : Parameter (R, R)
        ``weight_hh``, transposed.
    bias : Parameter (R,)
        ``bias_ih + bias_hh``.
    """

    cell = RNN_CELL


class GRU(Recurrent):
    """One layer of `tinytx.ops.gru`.

    Parameters
    ----------
    d_in, d_state : int
        Widths of the input and of the state, D and R.
    reverse : bool
        Whether it reads from the last position to the first.
    weight_drop : float in [0, 1)
        Dropout of ``weight_h``.
    rng : numpy.random.Generator
        All weights start uniform in +-1/sqrt(R), as in PyTorch.
    dtype : float32 or float64

    Attributes
    ----------
    weight_x : Parameter (D, 3 R)
        PyTorch's ``weight_ih``, transposed; the gates in the order r, z, n.
    weight_h : Parameter (R, 3 R)
        ``weight_hh``, transposed.
    bias_x, bias_h : Parameter (3 R,)
        ``bias_ih`` and ``bias_hh``.
    """

    cell = GRU_CELL


class LSTM(Recurrent):
    """One layer of `tinytx.ops.lstm`.

    Parameters
    ----------
    d_in, d_state : int
        Widths of the input and of the state, D and R.
    reverse : bool
        Whether it reads from the last position to the first.
    weight_drop : float in [0, 1)
        Dropout of ``weight_h``.
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

    cell = LSTM_CELL


class OriginalGRU(Recurrent):
    """One layer of `tinytx.ops.original_gru`, whose reset comes before the product.

    Parameters
    ----------
    d_in, d_state : int
        Widths of the input and of the state, D and R.
    reverse : bool
        Whether it reads from the last position to the first.
    weight_drop : float in [0, 1)
        Dropout of ``weight_h``.
    rng : numpy.random.Generator
        All weights start uniform in +-1/sqrt(R).
    dtype : float32 or float64

    Attributes
    ----------
    weight_x : Parameter (D, 3 R)
        The gates in the order r, z, n.
    weight_h : Parameter (R, 3 R)
    bias : Parameter (3 R,)
    """

    cell = ORIGINAL_GRU_CELL


class MultiplicativeLSTM(Recurrent):
    """One layer of `tinytx.ops.mlstm`, whose input chooses the way from the state to the gates.

    Parameters
    ----------
    d_in, d_state : int
        Widths of the input and of the state, D and R.
    reverse : bool
        Whether it reads from the last position to the first.
    weight_drop : float in [0, 1)
        Dropout of ``weight_h``.
    rng : numpy.random.Generator
        All weights start uniform in +-1/sqrt(R).
    dtype : float32 or float64

    Attributes
    ----------
    weight_x : Parameter (D, 5 R)
        The factor of the state, then the gates in the order i, f, g, o.
    weight_h : Parameter (R, 5 R)
    bias : Parameter (4 R,)
        Of the gates.
    """

    cell = MLSTM_CELL


CELLS = {layer.cell.name: layer for layer in (RNN, GRU, OriginalGRU, LSTM, MultiplicativeLSTM)}  # configs say the name
