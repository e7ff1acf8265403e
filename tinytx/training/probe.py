"""Probe: how well a linear map reads labels out of vectors that stay as they are, such as those of a language model."""

import numpy as np

from tinytx import ops
from tinytx.core import Layer, Tape
from tinytx.layers import Linear, ScalarMix
from tinytx.training.optimizers import AdamW


class Probe(Layer):
    """The learned mix of several layers' vectors (`tinytx.layers.ScalarMix`), and a linear map from it to classes.

    Parameters
    ----------
    n_layers, d_model, n_classes : int
    rng : numpy.random.Generator
    dtype : float32 or float64

    Examples
    --------
    >>> vectors, labels = np.eye(3)[:, None], np.array([1, 0, 1])  # of one layer
    >>> probe = fitted_probe(vectors, labels, 2)
    >>> probe(vectors).argmax(axis=-1).tolist()
    [1, 0, 1]
    """

    def __init__(self, n_layers, d_model, n_classes, *, rng, dtype=np.float32):
        self.mix = ScalarMix(n_layers, dtype=dtype)
        self.head = Linear(d_model, n_classes, rng=rng, dtype=dtype)

    def forward(self, vectors, tape=None):
        """(..., N, D) -> logits (..., n_classes)."""
        return self.head(self.mix(vectors, tape), tape)

    def backward(self, dlogits, tape):
        """Return dvectors."""
        return self.mix.backward(self.head.backward(dlogits, tape), tape)

    def loss(self, vectors, labels, tape=None, *, count=None):
        """Return the mean cross-entropy of the labels (...), in nats."""
        loss, saved = ops.cross_entropy(self(vectors, tape), labels, count=count)
        if tape is not None:
            tape.push(self, saved)
        return loss

    def loss_backward(self, tape):
        """Add the gradients of `loss`; return that of the vectors."""
        return self.backward(ops.cross_entropy_backward(1.0, tape.pop(self)), tape)

    @property
    def shares(self):
        """The shares (N,) of the layers in the mix."""
        return ops.softmax(self.mix.scores.data)[0]


def fitted_probe(vectors, labels, n_classes, *, steps=300, lr=0.03, weight_decay=0.1, seed=0):
    """Return a `Probe` that has learned the labels, by AdamW on all of them at once.

    Parameters
    ----------
    vectors : array (n, N, D)
        Of n tokens, from N layers.
    labels : integers (n,)
    n_classes : int
    steps : int
    lr, weight_decay : float
        As for `tinytx.training.AdamW`.
    seed : int
        Of the linear map.
    """
    _, *shape = vectors.shape
    probe = Probe(*shape, n_classes, rng=np.random.default_rng(seed), dtype=vectors.dtype)
    optimizer = AdamW(probe, lr, weight_decay=weight_decay)
    for _ in range(steps):
        probe.zero_grad()
        probe.loss(vectors, labels, tape := Tape())
        probe.loss_backward(tape)
        optimizer.step()
    return probe
