"""Bits: at each position, which of some bits are 1? The task of copying, and of all else that a memory is tried on."""

import math

from tinytx import ops, workers
from tinytx.arguments import check_whole
from tinytx.layers import Linear
from tinytx.tasks.task import Task


class Bits(Task):
    """A body that reads vectors, and a linear head with one logit for each bit.

    Parameters
    ----------
    body : Layer
        ``body(x, tape)`` turns (B, T, d_in) into (B, T, D): `tinytx.models.NTM`.
    n_bits : int
        Bits of each position.
    rng : numpy.random.Generator
        Draws the head.

    Examples
    --------
    >>> from tinytx.models import NTM, NTMConfig
    >>> rng = np.random.default_rng(0)
    >>> model = Bits(NTM(NTMConfig(d_in=5), rng=rng), n_bits=3, rng=rng)
    >>> model(np.zeros((2, 7, 5), np.float32)).shape
    (2, 7, 3)
    """

    unit = "bit"
    needs = {"d_model": Task.needs["d_model"], "d_in": "the width of what it reads"}

    def __init__(self, body, *, n_bits=8, rng):
        super().__init__(body)
        self.n_bits = check_whole("Bits", "n_bits", n_bits)
        self.head = Linear(self.width, self.n_bits, **self._drawn_like_the_body(rng))

    @property
    def settings(self):
        """The task's arguments: {"n_bits": bits of each position}."""
        return {"n_bits": self.n_bits}

    def forward(self, x, tape=None):
        """Return the logits (B, T, n_bits)."""
        return self.head(self._vectors(x, tape=tape), tape)

    def backward(self, dlogits, tape):
        """Add the gradients of all parameters; return that of x."""
        return self.body.backward(self.head.backward(dlogits, tape), tape)

    def loss(self, x, bits, tape=None, *, count=None):
        """Return the mean cross-entropy of the bits that count, in nats.

        Parameters
        ----------
        x : array (B, T, d_in)
        bits : integers (B, T, n_bits)
            0 or 1; -100 does not count.
        tape : Tape, optional
        count : int, optional
            `count` of the whole batch, if this is a part of it.
        """
        loss, saved = ops.binary_cross_entropy(self(x, tape), bits, count=count)
        if tape is not None:
            tape.push(self, saved)
        return loss

    def loss_backward(self, tape):
        """Add the gradients of `loss`; return that of x."""
        return self.backward(ops.binary_cross_entropy_backward(1.0, tape.pop(self)), tape)

    @staticmethod
    def count(x, bits):
        """Return the number of bits that count, by which `loss` divides."""
        return ops.count_targets(bits)

    def n_tokens(self, inputs):
        """Return how many positions the body reads."""
        return math.prod(inputs.shape[:2])

    def measure(self, batches):
        """Return what a position costs, in bits, and the share of wrong bits, over positions that count.

        Returns
        -------
        dict
            ``bits_per_element``: the cross-entropy of all bits of a position, to base 2; n_bits for a coin. ``wrong_bits``.
        """

        def told(batch):
            x, bits = batch
            logits, asked = self(x), bits != self.ignored
            nats = float(ops.binary_cross_entropy(logits, bits, count=1)[0])
            return nats, int(((logits > 0) != bits)[asked].sum()), int(asked.sum())

        nats, n_wrong, n = zip(*workers.each(told, batches))
        return {"bits_per_element": math.fsum(nats) / math.log(2) * self.n_bits / sum(n), "wrong_bits": sum(n_wrong) / sum(n)}

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: n rows of ``length`` positions."""
        x = rng.normal(size=(n, length, self.config.d_in)).astype(self.head.weight.data.dtype)
        return x, rng.integers(0, 2, (n, length, self.n_bits))
