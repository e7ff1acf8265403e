"""Several recurrent layers as one: both directions side by side, and stacks.

They are called as one layer is: `tinytx.layers.recurrent` says how.
"""

import numpy as np

from tinytx.core import Layer
from tinytx.layers.block import as_tuple
from tinytx.layers.dropout import Dropout


class Bidirectional(Layer):
    """Two layers read the same sequence, one from each end; their outputs stand beside each other (Schuster and Paliwal 1997).

    Its states are those of the first layer, and then those of the second.

    Parameters
    ----------
    left_to_right, right_to_left : RNN, GRU, LSTM or others of `tinytx.layers.recurrent`
        The second with ``reverse=True``.

    Raises
    ------
    ValueError
        If they do not read in these directions.

    Examples
    --------
    >>> from tinytx.layers import GRU
    >>> rng = np.random.default_rng(0)
    >>> both = Bidirectional(GRU(3, 4, rng=rng), GRU(3, 4, reverse=True, rng=rng))
    >>> y, h, h_reverse = both(np.zeros((2, 5, 3), np.float32), final=True)
    >>> y.shape, h.shape
    ((2, 5, 8), (2, 4))
    """

    def __init__(self, left_to_right, right_to_left):
        for name, layer, reverse in (("left_to_right", left_to_right, False), ("right_to_left", right_to_left, True)):
            if layer.reverse != reverse:
                raise ValueError(f"Bidirectional: {name} has reverse={layer.reverse}, expected reverse={reverse}")
        self.left_to_right, self.right_to_left = left_to_right, right_to_left

    @property
    def n_states(self):
        """Number of arrays that the states of both consist of."""
        return self.left_to_right.n_states + self.right_to_left.n_states

    def forward(self, x, *initial, tape=None, mask=None, state=None, final=False):
        """Return the outputs (B, T, 2 R), and with ``final`` the final states: as `RNN`, `GRU` and `LSTM`.

        Raises
        ------
        ValueError
            If a ``state`` is given: what follows is not read yet.
        """
        n, options = self.left_to_right.n_states, {"mask": mask, "state": state, "final": True}
        left, *left_states = self.left_to_right(x, *initial[:n], tape, **options)
        right, *right_states = self.right_to_left(x, *initial[n:], tape, **options)
        if tape is not None:
            tape.push(self, (left.shape[2], bool(initial), final))
        y = _beside(left, right)
        return (y, *left_states, *right_states) if final else y

    def backward(self, dy, tape):
        """Return dx, or (dx, *gradients of the initial states) where forward was given some."""
        width, given, final = tape.pop(self)
        dy, *dfinal = dy if final else (dy, *(None for _ in range(self.n_states)))
        left, right = (None, None) if dy is None else (dy[..., :width], dy[..., width:])
        n = self.left_to_right.n_states
        dx_right, *dright = as_tuple(self.right_to_left.backward((right, *dfinal[n:]), tape))
        dx_left, *dleft = as_tuple(self.left_to_right.backward((left, *dfinal[:n]), tape))
        return (dx_left + dx_right, *dleft, *dright) if given else dx_left + dx_right


class RecurrentStack(Layer):
    """Recurrent layers of one or both directions, each of which reads the outputs of the one before.

    Its states are those of its layers, one layer after the other.

    Parameters
    ----------
    layers : sequence of RNN, GRU, LSTM, other cells, or Bidirectional
    dropout : float in [0, 1)
        Of the outputs of each layer but the last, as in PyTorch.
    locked : bool
        Whether all positions of a sequence have one mask of dropout (Gal and Ghahramani 2016).

    Raises
    ------
    ValueError
        If there is no layer.

    Examples
    --------
    >>> from tinytx.layers import LSTM
    >>> rng = np.random.default_rng(0)
    >>> encoder, decoder = (RecurrentStack([LSTM(3, 4, rng=rng), LSTM(4, 4, rng=rng)]) for _ in range(2))
    >>> x = np.zeros((2, 5, 3), np.float32)
    >>> y, *states = encoder(x, final=True)  # h and c of the first layer, h and c of the second
    >>> decoder(x, *states).shape
    (2, 5, 4)
    """

    def __init__(self, layers, *, dropout=0.0, locked=False):
        self.layers, self.dropout = [*layers], Dropout(dropout, locked=locked)
        if not self.layers:
            raise ValueError("RecurrentStack: layers is empty, expected at least one layer")

    @property
    def n_states(self):
        """Number of arrays that the states of all layers consist of."""
        return sum(layer.n_states for layer in self.layers)

    def forward(self, x, *initial, tape=None, mask=None, state=None, final=False):
        """Return the last layer's outputs, and with ``final`` the final states: as `RNN`, `GRU` and `LSTM`.

        Raises
        ------
        ValueError
            If ``initial`` are not the states of all layers.
        """
        if len(initial) not in (0, self.n_states):
            raise ValueError(f"RecurrentStack: {len(initial)} arrays of initial states are given, expected {self.n_states}")
        left, states = [*initial], []
        for n, layer in enumerate(self.layers):
            own, left = left[: layer.n_states], left[layer.n_states :]
            x = self.dropout(x, tape) if n else x
            x, *after = layer(x, *own, tape, mask=mask, state=state, final=True)
            states += after
        if tape is not None:
            tape.push(self, (bool(initial), final))
        return (x, *states) if final else x

    def backward(self, dy, tape):
        """Return dx, or (dx, *gradients of the initial states) where forward was given some."""
        given, final = tape.pop(self)
        dx, *dfinal = dy if final else (dy, *(None for _ in range(self.n_states)))
        dinitial = []
        for n, layer in reversed([*enumerate(self.layers)]):
            own, dfinal = dfinal[-layer.n_states :], dfinal[: -layer.n_states]
            dx, *before = as_tuple(layer.backward((dx, *own), tape))
            dinitial = before + dinitial
            dx = self.dropout.backward(dx, tape) if n else dx
        return (dx, *dinitial) if given else dx


def _beside(left, right):
    """Return (B, T, 2 R) of two (B, T, R)."""
    return np.concatenate([left, right], axis=2)
