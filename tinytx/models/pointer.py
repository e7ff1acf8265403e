"""Pointer networks (Vinyals, Fortunato and Jaitly 2015, arXiv:1506.03134): what is written are positions of the input.

The difference from `tinytx.models.recurrent_seq2seq`: there is no vocabulary. The encoder reads elements that are vectors
of numbers, and at each step the softmax goes over the elements themselves. So there are as many classes as the input has
elements, and a model trained on ten elements can be asked about twenty. What the decoder reads is the element that it
pointed at last, embedded in the same way as for the encoder.

Elements that have been pointed at are left out (their scores are -inf), in training and in decoding alike: the answer is an
order of the elements, or of some of them.
"""

import numpy as np

from tinytx import ops
from tinytx.core import Layer
from tinytx.layers import LSTM, ClassToken, Linear, Pointer
from tinytx.settings import Settings, setting
from tinytx.shapes import check_float, check_ids, check_shape


class PointerConfig(Settings):
    """What a pointer network is made of."""

    n_features: int = setting(1, "numbers that an element consists of", minimum=1)
    d_model: int = setting(64, "width of the embedded elements and of the states", minimum=1)


class PointerNetwork(Layer):
    """An LSTM that reads elements, and one that points at them: its output are scores of the elements.

    Parameters
    ----------
    config : PointerConfig
    rng : numpy.random.Generator
    dtype : float32 or float64

    Examples
    --------
    >>> body = PointerNetwork(PointerConfig(n_features=2), rng=np.random.default_rng(0))
    >>> points = np.random.default_rng(1).random((3, 5, 2), np.float32)
    >>> body(points, np.array([[0, 1], [3, 2], [4, 0]])).shape, body.point(points).shape
    ((3, 2, 5), (3, 5))
    """

    def __init__(self, config, *, rng, dtype=np.float32):
        self.config, d, draw = config, config.d_model, {"rng": rng, "dtype": dtype}
        self.element, self.start = Linear(config.n_features, d, **draw), ClassToken(d, **draw)
        self.encoder, self.decoder, self.pointer = LSTM(d, d, **draw), LSTM(d, d, **draw), Pointer(d, **draw)

    def forward(self, elements, order, tape=None):
        """Return the scores (B, T, S) of the elements, in each step; -inf for those of the steps before.

        Parameters
        ----------
        elements : array (B, S, F), float32 or float64
        order : integers (B, T), each in 0..S-1
            The positions to point at, one after the other. The decoder reads the elements of all but the last.
        tape : Tape, optional

        Raises
        ------
        TypeError, ValueError
            If shapes do not fit, a position is out of range, or a row of ``order`` has a position twice.
        """
        order = self._checked(elements, order)
        x, memory, *state = self._encoded(elements, tape)
        (b, s, d), t = x.shape, order.shape[1]
        read, saved = ops.select_rows(x, (order[:, :-1] + s * np.arange(b)[:, None]).ravel())
        if tape is not None:
            tape.push(self, saved)
        y = self.decoder(self.start(read.reshape(b, t - 1, d), tape), *state, tape)
        return self.pointer(y, memory, tape, mask=not_before(order, s))

    def backward(self, dscores, tape):
        """Return (delements, None): positions have no gradient. Nor have scores of -inf.

        An element has three uses: the encoder reads it, the decoder reads it, and the encoder's output at its position is
        what the pointer compares.
        """
        dy, dmemory = self.pointer.backward(dscores, tape)
        dread, *dstate = self.decoder.backward(dy, tape)
        dread = self.start.backward(dread, tape)
        dx = ops.select_rows_backward(dread.reshape(-1, dread.shape[2]), tape.pop(self))
        dx = dx + self.encoder.backward((dmemory, *dstate), tape)
        return self.element.backward(dx, tape), None

    def point(self, elements):
        """Return the order (B, S) in which the network points at all elements, at the likeliest one each time."""
        x, memory, *state = self._encoded(elements, None)
        b, s, d = x.shape
        order, left = np.zeros((b, s), np.int64), np.ones((b, 1, s), bool)
        read = self.start(x[:, :0])
        for t in range(s):
            y, *state = self.decoder(read, *state, final=True)
            order[:, t] = self.pointer(y, memory, mask=left)[:, 0].argmax(axis=1)
            left[np.arange(b), 0, order[:, t]] = False
            read = x[np.arange(b), order[:, t], None]
        return order

    def _encoded(self, elements, tape):
        """Return the embedded elements (B, S, D), the encoder's outputs (B, S, D), and its final state."""
        x = self.element(elements, tape)
        return x, *self.encoder(x, tape, final=True)

    def _checked(self, elements, order):
        check_float("PointerNetwork", elements=elements)
        n = self.config.n_features
        if elements.ndim != 3 or elements.shape[2] != n or not elements.size:
            raise ValueError(f"PointerNetwork: elements have shape {elements.shape}, expected (B, S, {n}), at least (1, 1, {n})")
        order = check_ids("PointerNetwork", order, elements.shape[1], what="position")
        check_shape("PointerNetwork", "order", order, (len(elements), *order.shape[1:2]), "elements of shape", elements.shape)
        twice = (np.diff(np.sort(order, axis=1), axis=1) == 0).any(axis=1)
        if not order.size or twice.any():
            facts = f"row {twice.argmax()} has a position twice: {order[twice.argmax()]}" if order.size else "it is empty"
            raise ValueError(f"PointerNetwork: order has shape {order.shape}, and {facts}; expected (B, T), T different positions")
        return order


def not_before(order, n):
    """Return booleans (B, T, n): False for the positions that a row of ``order`` (B, T) had before step t."""
    now = order[:, :, None] == np.arange(n)
    return now.cumsum(axis=1) - now == 0
