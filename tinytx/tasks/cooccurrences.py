"""Co-occurrences: how often do two words stand near each other? The task of GloVe."""

import math

import numpy as np

from tinytx import ops
from tinytx.arguments import check_number
from tinytx.tasks.task import Task


class Cooccurrences(Task):
    """A body with two tables of word vectors, whose products are to be the logarithms of counts.

    A batch is (words, contexts, counts), see `tinytx.ops.glove_loss`; `tinytx.data.cooccurrences` counts them in a text.

    Parameters
    ----------
    body : Layer
        `tinytx.models.GloVe`.
    x_max, alpha : float
        Pairs count by min(1, (X / x_max)^alpha). The authors have 100 for a text of billions of words.
    rng : numpy.random.Generator, optional
        Is not used: the task has no weights of its own.

    Examples
    --------
    >>> import numpy as np
    >>> from tinytx.models import GloVe, GloVeConfig
    >>> model = Cooccurrences(GloVe(GloVeConfig(vocab_size=50), rng=np.random.default_rng(0)))
    >>> loss = model.loss(np.array([3]), np.array([7]), np.array([100.0], np.float32))  # about (ln 100)^2 = 21.2
    >>> abs(loss - 21.2) < 0.5
    True
    """

    unit, quantity = "pair", "weighted squared error"

    def __init__(self, body, *, x_max=100.0, alpha=0.75, rng=None):
        super().__init__(body)
        for name, number in (("x_max", x_max), ("alpha", alpha)):
            check_number("Cooccurrences", name, number, "a finite number above 0", lambda number: 0 < number < math.inf)
        self.x_max, self.alpha = float(x_max), float(alpha)

    @property
    def settings(self):
        """The task's arguments: {"x_max": float, "alpha": float}."""
        return {"x_max": self.x_max, "alpha": self.alpha}

    @property
    def tables(self):
        """The body's parameters, in the order of `tinytx.ops.glove_loss`."""
        body = self.body
        return body.token.weight, body.context.weight, body.bias_token, body.bias_context

    def forward(self, ids, tape=None):
        """Return the body's vectors (..., D)."""
        return self.body(ids, tape)

    def backward(self, dy, tape):
        """Add the gradients of the body; words have none, so nothing is returned."""
        self.body.backward(dy, tape)

    def loss(self, words, contexts, counts, tape=None, *, count=None):
        """Return the weighted mean of squared errors: `tinytx.ops.glove_loss`.

        Parameters
        ----------
        words, contexts : integers (N,)
            Words of the body's.
        counts : array (N,), the dtype of the body's
            How often they stand together.
        tape : Tape, optional
        count : int, optional
            `count` of the whole batch, if this is a part of it.

        Raises
        ------
        TypeError, ValueError
            If a word is out of range, a count is not above 0, or shapes do not fit.
        """
        tables, weighting = [table.data for table in self.tables], {"x_max": self.x_max, "alpha": self.alpha}
        loss, saved = ops.glove_loss(*tables, words, contexts, counts, **weighting, count=count)
        if tape is not None:
            tape.push(self, saved)
        return loss

    def loss_backward(self, tape):
        """Add the gradients of `loss`."""
        for table, gradient in zip(self.tables, ops.glove_loss_backward(1.0, tape.pop(self))):
            table.add_grad(gradient, fresh=True)

    @staticmethod
    def count(words, contexts, counts):
        """Return the number of pairs, by which `loss` divides."""
        return len(words)

    def measure(self, batches):
        """Return ``loss``, the mean over the pairs of batches (words, contexts, counts)."""
        return {"loss": self.mean_loss(batches)}

    def random_batch(self, rng, n, length):
        """Return a random batch for `loss`: n times ``length`` pairs, each of which occurs once."""
        words, contexts = rng.integers(0, self.vocab_size, (2, n * length))
        return words, contexts, np.ones(n * length, self.body.token.weight.data.dtype)
