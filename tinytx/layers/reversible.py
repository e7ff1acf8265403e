r"""Reversible blocks: a stack whose tape does not grow with its depth (Gomez et al. 2017, arXiv:1707.04585; Kitaev et al. 2020).

A residual connection y = x + f(x) cannot be undone: f's input is lost. With two streams it can. A pair of layers f and g makes of
(x_1, x_2)

    y_1 = x_1 + f(x_2),   y_2 = x_2 + g(y_1),                            (1)

and g has read y_1, f has read x_2, so that with one more forward of each

    x_2 = y_2 - g(y_1),   x_1 = y_1 - f(x_2).                            (2)

So backward needs only the outputs of the last pair: it computes those of the pair before by (2), and so on to the first. With d_1,
d_2 the gradients of y_1 and y_2, and ' the transposed Jacobian: y_1 is a summand of itself and the input of g, x_2 is a summand of
y_2 and the input of f,

    d_1 <- d_1 + g'(y_1) d_2,   then   d_2 <- d_2 + f'(x_2) d_1,         (3)

are the gradients of x_1 and x_2. The first line has to come first: f's part belongs to the sum d_1 too. Each forward in (2) also
leaves on a tape of its own what its backward in (3) needs, so one half of a pair is in memory at a time, and the time is that of
one forward more: 4/3, as with a `Checkpoint` around each block, which still keeps every block's input.

(2) is exact but for rounding. The differences grow with depth and with the sizes of f and g: 1e-14 of the values at 24 pairs in
float64, 1e-5 in float32.
"""

import numpy as np

from tinytx.core import Layer


class ReversibleStack(Layer):
    """Pairs of layers, each of which reads one stream and adds to the other: equations (1) to (3).

    Parameters
    ----------
    pairs : list of (Layer, Layer)
        f and g of each pair, (B, T, D) -> (B, T, D): attention with its norm, and a feed-forward layer with its norm. No
        residual connection is in them.

    Attributes
    ----------
    fs, gs : list of Layer
    """

    def __init__(self, pairs):
        self.fs, self.gs = [f for f, _ in pairs], [g for _, g in pairs]

    def forward(self, x, tape=None, **settings):
        """Return both streams, side by side.

        Parameters
        ----------
        x : array (B, T, D)
            Both streams begin as x.
        tape : Tape, optional
        **settings
            Of each f: a mask, or without a tape a state.

        Returns
        -------
        array (B, T, 2 D)

        Raises
        ------
        ValueError
            If there are a tape and a state.
        """
        if tape is not None and settings.get("state") is not None:
            raise ValueError("ReversibleStack: forward runs twice, and a state would hold its positions twice: give no state")
        x1, x2, sites = x, x, []
        for f, g in zip(self.fs, self.gs):
            x1 = x1 + _forgotten(f, x2, tape, sites, settings)  # (1)
            x2 = x2 + _forgotten(g, x1, tape, sites, {})
        y = _beside(x1, x2)
        if tape is not None:
            tape.push(self, (y, sites, settings))
        return y

    def backward(self, dy, tape):
        """Return dx."""
        y, sites, settings = tape.pop(self)
        (y1, y2), (d1, d2) = _streams(y), _streams(dy)
        for f, g in zip(reversed(self.fs), reversed(self.gs)):
            fork = tape.fork(sites.pop())
            y2 = _summand(y2, g(y1, fork))  # (2)
            d1 = d1 + g.backward(d2, fork)  # (3)
            fork.check_empty()
            fork = tape.fork(sites.pop())
            y1 = _summand(y1, f(y2, fork, **settings))
            d2 = d2 + f.backward(d1, fork)
            fork.check_empty()
        return d1 + d2


def _beside(x1, x2):
    """(B, T, D) twice -> (B, T, 2 D)."""
    return np.concatenate([x1, x2], axis=-1)


def _streams(y):
    """(B, T, 2 D) -> (B, T, D) twice, views."""
    return np.split(y, 2, axis=-1)


def _summand(total, other):
    """Return what was added to ``other``: the inverse of a residual connection's sum."""
    return total - other


def _forgotten(layer, x, tape, sites, settings):
    """Return a layer's output; nothing that it saves is kept but the number of its first dropout mask."""
    if tape is None:
        return layer(x, **settings)
    sites.append(tape.sites)
    fork = tape.fork(tape.sites)
    y = layer(x, fork, **settings)
    tape.sites = fork.sites
    return y
